"""`promptflow.tools.common`, its part on prompts: templates rendered and cut into messages, choices checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from pilothouse.core.errors import FlowError
from pilothouse.flows.nodes.llm import rendered
from pilothouse.flows.promptflow.faults import (
    ChatAPIFunctionRoleInvalidFormat,
    ChatAPIInvalidFunctions,
    ChatAPIInvalidRole,
    ChatAPIInvalidTools,
    ChatAPIToolRoleInvalidFormat,
    JinjaTemplateError,
    PromptflowException,
    ToolValidationError,
)
from pilothouse.flows.prompts.images import Image
from pilothouse.flows.prompts.roles import split_messages
from pilothouse.flows.prompts.shield import ROLES, PromptText
from pilothouse.flows.prompts.templates import Template
from pilothouse.models.providers.wire import chat_body
from pilothouse.models.types import ChatRequest, Message

VALID_ROLES: Final = list(ROLES)
INPUTS_TO_ESCAPE_PARAM_KEY: Final = "_inputs_to_escape"
PROMPT: Final = Path("prompt")

_INCOMPLETE = {"function": ChatAPIFunctionRoleInvalidFormat, "tool": ChatAPIToolRoleInvalidFormat}
_IMAGE = re.compile(r"!\[\s*image\s*\]\(\{\{\s*(?P<name>[^\s{}]+)\s*\}\}\)")


class ChatInputList(list[Any]):
    """A list that prints its items on lines of their own, as a template wants them."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))


def to_bool(value: Any) -> bool:
    """Return whether a value is the word true, in any case."""
    return str(value).lower() == "true"


def convert_to_chat_list(obj: Any) -> Any:
    """Return a value whose lists, at any depth, print their items on lines of their own."""
    if isinstance(obj, dict):
        return {key: convert_to_chat_list(value) for key, value in cast("dict[Any, Any]", obj).items()}
    if isinstance(obj, list):
        return ChatInputList([convert_to_chat_list(item) for item in cast("list[Any]", obj)])
    return obj


def preprocess_template_string(template_string: str) -> str:
    """Return a template whose ``![image]({{x}})`` stand as ``{{x}}`` on lines of their own."""
    return _IMAGE.sub(lambda match: f"\n{{{{{match['name']}}}}}\n", template_string)


def render_jinja_template(
    template_content: str,
    trim_blocks: bool = True,
    keep_trailing_newline: bool = True,
    escape_dict: Mapping[str, str] | None = None,
    **values: Any,
) -> str:
    """Return a template with values filled in; it runs in Jinja's sandbox.

    Raises:
        JinjaTemplateError: whatever the template raised.
    """
    import jinja2.sandbox

    del escape_dict  # only of use to messages of prompt flow's own
    environment = jinja2.sandbox.SandboxedEnvironment(
        trim_blocks=trim_blocks, keep_trailing_newline=keep_trailing_newline
    )
    try:
        return environment.from_string(template_content).render(**values)
    except Exception as error:
        raise JinjaTemplateError(
            f"Failed to render jinja template: {type(error).__name__}: {error}. Mend the template."
        ) from error


def render_template_jinja2(template: str, **values: Any) -> PromptText:
    """Return a template with values filled in, as a prompt node does."""
    values.pop(INPUTS_TO_ESCAPE_PARAM_KEY, None)
    return PromptText(render_jinja_template(template, **values))


def parse_chat(
    chat_str: str,
    images: Sequence[Image] | None = None,
    valid_roles: Sequence[str] | None = None,
    image_detail: str = "auto",
    escape_dict: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the messages of a rendered prompt in OpenAI's form.

    Args:
        chat_str: The rendered prompt.
        images: The images that stand in it by their text form.
        valid_roles: The roles that are allowed; all by default.
        image_detail: How closely a model should look at the images.
        escape_dict: What role names in inputs were swapped for; put back in what is told of them.

    Raises:
        ToolValidationError: for text before the first role, a role that is not allowed, or a function or tool
            message without its fields.
    """
    known = {str(image): image for image in images or ()}
    try:
        messages = split_messages(chat_str, images=known, marks=None, where="the prompt") if chat_str.strip() else ()
    except FlowError as error:
        raise _refusal(error, valid_roles) from error
    allowed = valid_roles or VALID_ROLES
    for message in messages:
        if message.role not in allowed:
            raise ChatAPIInvalidRole(f"the role '{message.role}' is not allowed here; expected: {', '.join(allowed)}")
    del escape_dict
    return as_openai(messages, image_detail)


def build_messages(
    prompt: str, images: Sequence[Image] | None = None, image_detail: str = "auto", **values: Any
) -> list[dict[str, Any]]:
    """Return the messages of a template in OpenAI's form; role names inside of inputs to escape make no message.

    Raises:
        ToolValidationError: when the template cannot be rendered or cut.
    """
    del images  # those among the values are found
    return as_openai(chat_messages(prompt, values), image_detail)


def chat_messages(prompt: str, values: dict[str, Any]) -> tuple[Message, ...]:
    """Return the messages of a template.

    Raises:
        ToolValidationError: when the template cannot be rendered or cut.
    """
    guarded: Iterable[str] = values.pop(INPUTS_TO_ESCAPE_PARAM_KEY, None) or ()
    try:
        messages = rendered("chat", Template(str(prompt), PROMPT), values, frozenset(guarded))
    except FlowError as error:
        raise _refusal(error) from error
    assert not isinstance(messages, str)
    return messages


def as_openai(messages: tuple[Message, ...], image_detail: str = "auto") -> list[dict[str, Any]]:
    """Return messages in OpenAI's form."""
    found: list[dict[str, Any]] = chat_body(ChatRequest(messages=messages))["messages"]
    for message in found:
        parts: Any = message.get("content")
        for part in cast("list[dict[str, Any]]", parts) if isinstance(parts, list) else []:
            if "image_url" in part:
                part["image_url"]["detail"] = image_detail
    return found


def process_function_call(function_call: Any) -> Any:
    """Return a choice among functions as the API takes it; ``auto`` where none is made.

    Raises:
        ChatAPIInvalidFunctions: for a choice that names no function.
    """
    if function_call in (None, "auto", "none"):
        return function_call or "auto"
    if not isinstance(function_call, dict) or "name" not in function_call:
        raise ChatAPIInvalidFunctions(f"function_call is {function_call!r}; expected: {{'name': '...'}}")
    return cast("dict[str, Any]", function_call)


def process_tool_choice(tool_choice: Any) -> Any:
    """Return a choice among tools as the API takes it; ``auto`` where none is made.

    Raises:
        ChatAPIInvalidTools: for a choice that names no tool.
    """
    if tool_choice in (None, "auto", "none"):
        return tool_choice or "auto"
    expected = "{'type': 'function', 'function': {'name': '...'}}"
    choice = cast("dict[str, Any]", tool_choice) if isinstance(tool_choice, dict) else {}
    function: Any = choice.get("function")
    if "type" not in choice or not isinstance(function, dict) or "name" not in function:
        raise ChatAPIInvalidTools(f"tool_choice is {tool_choice!r}; expected: {expected}")
    return choice


def validate_functions(functions: Sequence[Any]) -> None:
    """Refuse functions that are not described as the API wants them.

    Raises:
        ChatAPIInvalidFunctions: naming the first.
    """
    if not functions:
        raise ChatAPIInvalidFunctions("functions is empty; expected: a list of {'name': ..., 'parameters': ...}")
    for index, item in enumerate(functions):
        _check_function(f"functions[{index}]", item, ChatAPIInvalidFunctions)


def validate_tools(tools: Sequence[Any]) -> None:
    """Refuse tools that are not described as the API wants them.

    Raises:
        ChatAPIInvalidTools: naming the first.
    """
    if not tools:
        raise ChatAPIInvalidTools("tools is empty; expected: a list of {'type': 'function', 'function': ...}")
    for index, item in enumerate(tools):
        fields = _need(f"tools[{index}]", item, ("type", "function"), ChatAPIInvalidTools)
        _check_function(f"tools[{index}].function", fields["function"], ChatAPIInvalidTools)


def _check_function(place: str, value: Any, kind: type[PromptflowException]) -> None:
    fields = _need(place, value, ("name", "parameters"), kind)
    schema = _need(f"{place}.parameters", fields["parameters"], ("type", "properties"), kind)
    if schema["type"] != "object" or not isinstance(schema["properties"], dict):
        raise kind(f"{place}.parameters is not the JSON schema of an object")


def _need(place: str, value: Any, keys: Iterable[str], kind: type[PromptflowException]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise kind(f"{place} is not a dict but {type(value).__name__}")
    fields = cast("dict[str, Any]", value)
    for key in keys:
        if key not in fields:
            raise kind(f"{place} has no '{key}'")
    return fields


def _refusal(error: FlowError, valid_roles: Sequence[str] | None = None) -> ToolValidationError:
    text = str(error)
    if "cannot be rendered" in text or "cannot be read" in text:
        return JinjaTemplateError(text)
    for role, kind in _INCOMPLETE.items():
        if f"a {role} message" in text and role in (valid_roles or VALID_ROLES):
            return kind(text)
    return ChatAPIInvalidRole(text)
