"""A rendered prompt cut into messages: bit for bit where prompt flow cuts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.errors import FlowError
from pilothouse.flows.prompts.images import Image
from pilothouse.flows.prompts.roles import split_messages
from pilothouse.models.types import ImagePart, Message, TextPart, ToolCall

# The marker as the documentation of prompt flow describes it.
MARKER = re.compile(r"^\s*#?\s*(system|user|assistant|function|tool)\s*:\s*\n", re.IGNORECASE | re.MULTILINE)


def split(text: str, **images: Image) -> tuple[Message, ...]:
    return split_messages(text, images={str(image): image for image in images.values()}, marks=None, where="ask.jinja2")


def pairs(text: str) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("system:\nhi\n", [("system", "hi")]),
        ("# system:\nhi\n\n# user:\nthere\n", [("system", "hi"), ("user", "there")]),
        ("SYSTEM:\na\nUser:\nb", [("system", "a"), ("user", "b")]),
        ("\n\n  # \n system \n : \n\n  hi  \n", [("system", "hi")]),
        ("user :\nx", [("user", "x")]),
        ("user:   \nx", [("user", "x")]),
        ("user:\r\nx", [("user", "x")]),
        ("user:\nassistant: not a marker\n", [("user", "assistant: not a marker")]),
        ("user:\nsay user:\nb", [("user", "say user:\nb")]),
        ("user:\n## user:\nb", [("user", "## user:\nb")]),
        ("user:\nsuperuser:\nb", [("user", "superuser:\nb")]),
        ("user:\nusers:\nb", [("user", "users:\nb")]),
        ("user:\ndeveloper:\nb", [("user", "developer:\nb")]),
        ("user:\n\nassistant:\n\nuser:\nb", [("user", ""), ("assistant", ""), ("user", "b")]),
        ("user:\na\n\n\n\nassistant:\nb", [("user", "a"), ("assistant", "b")]),
        ("user:\na\n#\n#assistant:\nb", [("user", "a\n#"), ("assistant", "b")]),
        ("user:\na # \n assistant:\nb", [("user", "a #"), ("assistant", "b")]),
        ("user:\nline one\n\nline two", [("user", "line one\n\nline two")]),
        ("user:\nuser:", [("user", "user:")]),
        ("system:\nuser:\n", [("system", ""), ("user", "")]),
        ("user:\nünïcödé 😀", [("user", "ünïcödé 😀")]),
    ],
)
def test_messages(text: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(text) == expected


@pytest.mark.parametrize(
    "text", ["hi", "hi\nuser:\nthere", "system\nhi", "user: hi", "user:", "- user:\nx", "> system:\nx"]
)
def test_a_prompt_that_begins_with_no_role_is_refused(text: str) -> None:
    with pytest.raises(FlowError, match="begins with a role") as caught:
        split(text)
    assert caught.value.where == "ask.jinja2"
    assert "api: completion" in str(caught.value)


@pytest.mark.parametrize("text", ["", "  \n\n"])
def test_an_empty_prompt_is_refused(text: str) -> None:
    with pytest.raises(FlowError, match="empty"):
        split(text)


PIECES = st.sampled_from(
    [
        "user",
        "System",
        "tool",
        "assistant",
        "function",
        ":",
        "\n",
        "\n\n",
        " ",
        "\t",
        "#",
        "##",
        "x",
        "name",
        "\r\n",
        "user:\n",
        "# system:\n",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_it_cuts_where_the_documented_expression_cuts(text: str) -> None:
    parts = MARKER.split(text)
    try:
        found = [message.role for message in split(text)]
    except FlowError as error:
        roles = [role.lower() for role in parts[1::2]]
        complains_of_fields = "needs the" in error.message
        assert parts[0].strip() or not roles or (complains_of_fields and {"tool", "function"} & set(roles))
        return
    assert not parts[0].strip()
    assert found == [role.lower() for role in parts[1::2]]
    for message, content in zip(split(text), parts[2::2], strict=True):
        if message.name is None and message.role not in ("tool", "function"):
            assert message.text == content.strip()


def test_a_function_message_names_its_function() -> None:
    text = "function:\n## name:\nget_weather\n## content:\nsunny\nand warm\n"
    assert split(text) == (Message(role="function", name="get_weather", content="sunny\nand warm"),)
    assert split("function:\nname:\n f \ncontent:\nx") == (Message(role="function", name="f", content="x"),)


@pytest.mark.parametrize("text", ["function:\nsunny", "function:\nname: f\ncontent:\nx", "function:\ncontent:\nx"])
def test_a_function_message_without_its_fields_is_refused(text: str) -> None:
    with pytest.raises(FlowError, match="name of the function"):
        split(text)


def test_other_messages_may_have_a_name() -> None:
    assert split("user:\n# name:\nAnn\n# content:\nhello") == (Message(role="user", name="Ann", content="hello"),)


def test_a_tool_message_names_its_call() -> None:
    assert split("tool:\n## tool_call_id:\ncall_1\n## content:\n42") == (
        Message(role="tool", tool_call_id="call_1", content="42"),
    )
    with pytest.raises(FlowError, match="id of the call"):
        split("tool:\n42")


@pytest.mark.parametrize(
    "listed",
    [
        "[{'id': 'c1', 'type': 'function', 'function': {'name': 'f', 'arguments': '{\"a\": [1, 2]}'}}]",
        '[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": [1, 2]}"}}]',
        '[\n {"id": "c1", "type": "function",\n  "function": {"name": "f", "arguments": {"a": [1, 2]}}}\n]',
    ],
)
def test_tool_calls_of_an_assistant_are_read(listed: str) -> None:
    messages = split(f"assistant:\n## tool_calls:\n{listed}\n\nuser:\nthanks")
    assert messages[0] == Message(
        role="assistant", tool_calls=(ToolCall(id="c1", name="f", arguments='{"a": [1, 2]}'),)
    )
    assert messages[1].text == "thanks"


@pytest.mark.parametrize("listed", ["[oops", "[__import__('os')]", "[1, 2]", "nothing", "[" * 10_000])
def test_tool_calls_that_cannot_be_read_are_text(listed: str) -> None:
    (message,) = split(f"assistant:\n## tool_calls:\n{listed}\n")
    assert message.tool_calls == ()
    assert listed in message.text


def test_a_line_that_is_an_image_becomes_an_image_part() -> None:
    picture, link = Image(b"\x89PNG..."), Image(source_url="https://example.org/a.png")
    (message,) = split(f"user:\nlook:\n{picture}\nand\n  {link}  \n\nnice", a=picture, b=link)
    assert message.content == (
        TextPart(text="look:"),
        ImagePart(data=b"\x89PNG...", media_type="image/png", detail="auto"),
        TextPart(text="and"),
        ImagePart(url="https://example.org/a.png", detail="auto"),
        TextPart(text="nice"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "user:\n" + "\n" * 300_000 + "x",
        "user:\n" + " #\n" * 100_000,
        "user:\n" + "user :" * 100_000,
        "user:\nname:" + "\n" * 200_000,
        "user:\n" + "name:\nx\n" * 30_000,
        "assistant:\n" + "tool_calls:\n[" * 5_000,
        "\n" * 300_000 + "user:\nx",
        "user:\n" + ":" * 300_000 + "\n",
        "user:\n" + ":\n" * 100_000,
        "user:\nx" + " " * 300_000 + ":\n:\n",
    ],
)
def test_hostile_text_takes_no_more_than_linear_time(text: str) -> None:
    # An expression that backtracks would not end within the life of the test run.
    assert split(text)[0].role in ("user", "assistant")
