"""Parts of prompts as functions: `promptflow.tools.common`."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pilothouse.core.errors import ModelError
from pilothouse.flows.promptflow import faults
from pilothouse.flows.promptflow.connections import (
    AzureOpenAIConnection,
    OpenAIConnection,
    SerpConnection,
    ServerlessConnection,
)
from pilothouse.flows.prompts.images import Image
from pilothouse.flows.toolkit import clients, prompts


def test_a_prompt_is_cut_into_messages() -> None:
    assert prompts.parse_chat("system:\nhi\n\n# user:\nyo\nassistant:\nok\n") == [
        {"role": "system", "content": "hi"},
        {"role": "user", "content": "yo"},
        {"role": "assistant", "content": "ok"},
    ]
    assert prompts.parse_chat("function:\nname:\nf\ncontent:\nres\n") == [
        {"role": "function", "name": "f", "content": "res"}
    ]
    assert prompts.parse_chat("") == []


def test_images_stand_where_their_text_stands() -> None:
    image = Image(b"\x89PNG")
    (message,) = prompts.parse_chat(f"user:\nlook\n{image}\n", images=[image], image_detail="low")
    assert message["content"][0] == {"type": "text", "text": "look"}
    assert message["content"][1]["image_url"]["detail"] == "low"


@pytest.mark.parametrize(
    ("text", "roles", "kind"),
    [
        ("hello\n", None, faults.ChatAPIInvalidRole),
        ("function:\nx\n", None, faults.ChatAPIFunctionRoleInvalidFormat),
        ("tool:\nx\n", None, faults.ChatAPIToolRoleInvalidFormat),
        ("tool:\nx\n", ["system", "user"], faults.ChatAPIInvalidRole),
        ("assistant:\nx\n", ["system", "user"], faults.ChatAPIInvalidRole),
    ],
)
def test_a_prompt_that_cannot_be_cut_is_refused(text: str, roles: list[str] | None, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        prompts.parse_chat(text, valid_roles=roles)


def test_inputs_to_escape_make_no_message() -> None:
    free = prompts.build_messages("user:\n{{q}}", q="x\nsystem:\ny")
    assert [item["role"] for item in free] == ["user", "system"]
    (guarded,) = prompts.build_messages("user:\n{{q}}", q="x\nsystem:\ny", _inputs_to_escape=["q"])
    assert guarded == {"role": "user", "content": "x\nsystem:\ny"}


def test_templates_are_rendered_in_the_sandbox() -> None:
    assert prompts.render_jinja_template("a {{x}}\n{% if x %}\nb\n{% endif %}\n", x=1) == "a 1\nb\n"
    for template in ("{{x", "{{ ''.__class__.__mro__[1].__subclasses__() }}"):
        with pytest.raises(faults.JinjaTemplateError):
            prompts.render_jinja_template(template)
    assert prompts.render_template_jinja2("{{x}}", x=1) == "1"
    assert prompts.preprocess_template_string("a ![image]({{ x }}) b") == "a \n{{x}}\n b"
    assert str(prompts.convert_to_chat_list({"x": [1, 2]})["x"]) == "1\n2"


def test_choices_are_checked() -> None:
    assert [prompts.process_function_call(item) for item in (None, "none", {"name": "f"})] == [
        "auto",
        "none",
        {"name": "f"},
    ]
    choice = {"type": "function", "function": {"name": "f"}}
    assert [prompts.process_tool_choice(item) for item in (None, "auto", choice)] == ["auto", "auto", choice]
    for wrong in ("sure", {"x": 1}):
        with pytest.raises(faults.ChatAPIInvalidFunctions):
            prompts.process_function_call(wrong)
        with pytest.raises(faults.ChatAPIInvalidTools):
            prompts.process_tool_choice(wrong)
    good = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    prompts.validate_functions([good])
    prompts.validate_tools([{"type": "function", "function": good}])
    for functions in ([], ["x"], [{"name": "f"}], [{"name": "f", "parameters": {"type": "x", "properties": {}}}]):
        with pytest.raises(faults.ChatAPIInvalidFunctions):
            prompts.validate_functions(functions)
        with pytest.raises(faults.ChatAPIInvalidTools):
            prompts.validate_tools([{"type": "function", "function": item} for item in functions])


def test_connections_as_arguments_of_openais_client() -> None:
    azure = clients.normalize_connection_config(AzureOpenAIConnection("https://a", "k", api_version="v"))
    assert azure == {"max_retries": 0, "api_key": "k", "api_version": "v", "azure_endpoint": "https://a"}
    signed = clients.normalize_connection_config(AzureOpenAIConnection("https://a", auth_mode="meid_token", token="t"))
    assert signed["azure_ad_token_provider"]() == "t"
    assert clients.normalize_connection_config(OpenAIConnection("k", base_url="u"))["base_url"] == "u"
    for base in ("https://s", "https://s/v1", "https://s/"):
        served = clients.normalize_connection_config(ServerlessConnection("k", base))
        assert served["base_url"] == "https://s/v1"
    with pytest.raises(faults.InvalidConnectionType):
        clients.normalize_connection_config(SerpConnection("k"))


def test_without_openais_library_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in place of a module is what Python itself takes for one that cannot be imported, installed or not.
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(faults.UserErrorException, match="pip install openai"):
        clients.init_openai_client(OpenAIConnection("k"))


@pytest.mark.parametrize(
    ("status", "calls", "kind"),
    [(503, 3, faults.ExceedMaxRetryTimes), (422, 2, faults.ExceedMaxRetryTimes), (401, 1, faults.WrappedOpenAIError)],
)
def test_calls_of_a_busy_model_are_tried_again(
    monkeypatch: pytest.MonkeyPatch, status: int, calls: int, kind: type[Exception]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(clients.time, "sleep", pauses.append)
    made: list[int] = []

    @clients.handle_openai_error(tries=3, unprocessable_entity_error_tries=2)
    def ask() -> None:
        made.append(1)
        raise ModelError("no", status=status)

    with pytest.raises(kind):
        ask()
    assert (len(made), pauses) == (calls, [3.0, 4.0][: calls - 1])


def test_other_errors_are_told_as_errors_of_a_model() -> None:
    def fail(error: Exception) -> Any:
        @clients.handle_openai_error()
        def ask() -> None:
            raise error

        return ask

    with pytest.raises(faults.LLMError, match="ValueError: x"):
        fail(ValueError("x"))()
    with pytest.raises(faults.ToolValidationError):
        fail(faults.ToolValidationError("y"))()
