"""Calls of tools by a local model whose template knows none: its answer is bound to a schema, and read as the call.

llama.cpp leaves tools out without a word where the model's template has no place for them. A call that the request
insists on (`tool_choice` required, or one function by name) can be had all the same; one that is left to the model
cannot, so there it answers with text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.ids import new_id
from pilothouse.models.types import ChatChunk, ChatRequest, Message, ToolCallDelta

_INSTEAD: Final = "Do not answer in words. Call a function: answer with JSON that fits"
_ANY: Final[dict[str, Any]] = {"type": "object", "properties": {}}


class ForcedCall(Struct, frozen=True, kw_only=True):
    """A call that must be made.

    Attributes:
        request: What is asked of the model instead.
        name: The one function that can be called; empty where the model chooses among several.
    """

    request: ChatRequest
    name: str

    async def read(self, chunks: AsyncIterator[ChatChunk]) -> AsyncGenerator[ChatChunk]:
        """Yield the chunks with the call in place of the text: piece by piece where its function is known."""
        begun = ToolCallDelta(index=0, id=f"call_{new_id()}", name=self.name)
        text = ""
        async for chunk in chunks:
            calls: tuple[ToolCallDelta, ...] = ()
            if self.name and (chunk.text or chunk.finish_reason):
                calls = (replace(begun, arguments=chunk.text),)
                begun = ToolCallDelta(index=0)
            text += chunk.text
            reason = "tool_calls" if chunk.finish_reason == "stop" else chunk.finish_reason
            if not self.name and chunk.finish_reason:
                calls = (_chosen(begun, text),)
            yield replace(chunk, text="", tool_calls=calls, finish_reason=reason)


def forced_call(request: ChatRequest) -> ForcedCall | None:
    """Return the call that a request insists on; None where it leaves the choice to the model."""
    choice = request.tool_choice
    if not request.tools or choice in (None, "auto", "none"):
        return None
    functions = [cast("dict[str, Any]", tool.get("function", tool)) for tool in request.tools]
    if isinstance(choice, dict):
        wanted = choice.get("function", choice).get("name")
        functions = [function for function in functions if function.get("name") == wanted]
    if not functions:
        return None
    alone = len(functions) == 1
    schema = functions[0].get("parameters") or _ANY if alone else _any_of(functions)
    told = "\n".join(f"{item['name']}: {item.get('description') or 'a function'}" for item in functions)
    shape = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
    return ForcedCall(
        request=replace(
            request,
            messages=_with_instructions(request, f"{_INSTEAD} {msgspec.json.encode(schema).decode()}\n{told}"),
            tools=None,
            tool_choice=None,
            parallel_tool_calls=None,
            response_format=shape,
        ),
        name=str(functions[0]["name"]) if alone else "",
    )


def _any_of(functions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a schema of a name and its arguments; definitions move to the place where references look for them."""
    definitions: dict[str, Any] = {}
    calls: list[dict[str, Any]] = []
    for function in functions:
        parameters = dict(function.get("parameters") or _ANY)
        definitions |= parameters.pop("$defs", {})
        properties = {"name": {"const": function["name"]}, "arguments": parameters}
        calls.append({"type": "object", "properties": properties, "required": ["name", "arguments"]})
    return {"anyOf": calls, **({"$defs": definitions} if definitions else {})}


def _with_instructions(request: ChatRequest, text: str) -> tuple[Message, ...]:
    first, *others = request.messages
    if first.role != "system":
        return (Message(role="system", content=text), *request.messages)
    return (replace(first, content=f"{first.text}\n\n{text}"), *others)


class _Chosen(Struct):
    name: str
    arguments: msgspec.Raw


def _chosen(begun: ToolCallDelta, text: str) -> ToolCallDelta:
    try:
        found = msgspec.json.decode(text, type=_Chosen)
    except msgspec.DecodeError:
        # Cut off by the limit of tokens: what there is of it is shown as it is.
        return replace(begun, arguments=text)
    return replace(begun, name=found.name, arguments=bytes(found.arguments).decode())
