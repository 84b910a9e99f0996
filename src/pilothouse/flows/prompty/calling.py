"""The loop of a prompty whose tools are prompties: the model asks, they answer, until it asks no more."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.errors import FlowError, UserError, nearest_hint
from pilothouse.flows.nodes.llm import Call, Caller
from pilothouse.flows.nodes.work import Answer
from pilothouse.flows.types import PromptyTool
from pilothouse.models.types import ChatRequest, ChatResponse, Message, ToolCall, Usage

MOST_ANSWERS = 10
"""Answers of the model for one line; Prompty 2 has the same bound."""

Answering = Callable[[Mapping[str, Any]], Awaitable[Answer]]


class BoundCall(Struct, frozen=True, kw_only=True):
    """A call with what its tools are given beside the model's arguments: tool -> argument -> value."""

    call: Call
    bound: dict[str, dict[str, Any]]


class Conversation:
    """Calls a model, answers its tool calls, and calls it again.

    Args:
        caller: Makes the calls.
        tools: The tools by name.
        answering: What answers the calls of a tool; those of other tools end the loop and are the answer.
        where: ``file:line`` of the model.
    """

    def __init__(
        self, caller: Caller, tools: Mapping[str, PromptyTool], answering: Mapping[str, Answering], where: str
    ) -> None:
        self._caller = caller
        self._tools = tools
        self._answering = answering
        self._where = where

    def bound(self, inputs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return what the tools are given beside the model's arguments."""
        return {
            name: {
                argument: inputs[source] for argument, source in self._tools[name].bindings.items() if source in inputs
            }
            for name in self._answering
        }

    async def respond(self, prepared: BoundCall) -> ChatResponse:
        """Return the model's last answer, with the tokens of all of them and of the tools.

        Raises:
            FlowError: when the model goes on asking for tools.
            ModelError: when a call fails.
        """
        call, spent = prepared.call, Usage()
        for _ in range(MOST_ANSWERS):
            response = await self._caller.respond(call)
            spent += response.usage or Usage()
            asked = response.message.tool_calls
            if not asked or any(self._is_left(item) for item in asked):
                return replace(response, usage=spent)
            answers: list[Message] = []
            for item in asked:
                text, usage = await self._answer(item, prepared.bound.get(item.name, {}))
                spent += usage
                answers.append(Message(role="tool", tool_call_id=item.id, name=item.name, content=text))
            request = cast("ChatRequest", call.request)
            call = replace(call, request=replace(request, messages=(*request.messages, response.message, *answers)))
        raise FlowError(
            f"the model still asks for tools after {MOST_ANSWERS} answers",
            where=self._where,
            fix="say in the prompt when it has enough, or offer fewer tools",
        )

    def _is_left(self, item: ToolCall) -> bool:
        # A tool that nobody declared is a slip of the model: it is told so. A declared function is for the caller.
        return item.name in self._tools and item.name not in self._answering

    async def _answer(self, item: ToolCall, bound: dict[str, Any]) -> tuple[str, Usage]:
        answering = self._answering.get(item.name)
        if answering is None:
            return f"Error: there is no tool '{item.name}'; {nearest_hint(item.name, self._answering)}", Usage()
        try:
            arguments: Any = json.loads(item.arguments or "{}")
        except (ValueError, RecursionError):
            return f"Error: the arguments of '{item.name}' are not JSON", Usage()
        if not isinstance(arguments, dict):
            return f"Error: the arguments of '{item.name}' are not an object", Usage()
        try:
            answer = await answering({**cast("dict[str, Any]", arguments), **bound})
        except UserError as error:
            # What the model asked for wrongly it may ask again; a provider that is down fails the line.
            return f"Error: {error.message}", Usage()
        return _text(answer.output), answer.usage or Usage()


def _text(outputs: Any) -> str:
    found = cast("dict[str, Any]", outputs)
    value: Any = found["output"] if list(found) == ["output"] else found
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
