"""A model without a model: the same answer to the same request, no key, no network. For tests, documents and dry runs.

Without a script it repeats the last message of the user, or makes the smallest answer that fits a JSON schema or a
required tool. A script is a YAML list of rules, tried in order::

    - when: refund            # searched in the last message of the user, in any case; left out: always
      reply: billing
    - when: weather
      call: {name: weather, arguments: {city: Lisbon}}
    - error: 429              # an HTTP status
      retry_after: 1.5
      times: 2                # only the first two times
    - reply: "yes"
      delay: 0.2              # seconds
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.core.structs import convert
from pilothouse.core.yaml import load_yaml
from pilothouse.models.client import ProviderContext
from pilothouse.models.providers.schema_sample import sample
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    Connection,
    EmbeddingRequest,
    EmbeddingResponse,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)

DIMENSIONS = 64
"""Numbers in a vector where the request does not say."""

Sleep = Callable[[float], Awaitable[None]]
Answer = str | ChatResponse | Exception
Reply = Callable[[ChatRequest], Answer]

_WORD = re.compile(r"\s*\S+\s*")


class Call(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool call to make."""

    name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to answer when.

    Attributes:
        when: A regular expression, searched in the last message of the user; None for any.
        reply: The text to answer.
        call: The tool to call.
        error: The HTTP status to fail with.
        retry_after: Seconds that a failure asks to wait.
        delay: Seconds to wait before the answer.
        times: How often the rule holds; None for ever.
    """

    when: str | None = None
    reply: str | None = None
    call: Call | None = None
    error: int | None = None
    retry_after: float | None = None
    delay: float = 0.0
    times: int | None = None


class ScriptedModel:
    """Answers by rules, or by a function of your own.

    Usage counts words as tokens.

    Args:
        rules: What to answer when; the first rule that fits and is not used up holds.
        reply: A function from the request to a text, a whole response or an exception to raise; it wins over rules.
        delay: Seconds before each answer.
        name: The model's name in responses to requests that name none.
        sleep: How to wait.
    """

    def __init__(
        self,
        rules: tuple[Rule, ...] = (),
        *,
        reply: Reply | None = None,
        delay: float = 0.0,
        name: str = "scripted",
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._rules = [(rule, re.compile(rule.when or "", re.IGNORECASE)) for rule in rules]
        self._left = [rule.times for rule in rules]
        self._reply = reply
        self._delay = delay
        self._name = name
        self._sleep = sleep

    @property
    def provider(self) -> str:
        """Who serves the model."""
        return "scripted"

    @property
    def concurrency(self) -> int | None:
        """As many calls as there are."""
        return None

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Answer a conversation."""
        rule = self._rule(request) if self._reply is None else Rule()
        delay = self._delay + rule.delay
        if delay > 0:
            await self._sleep(delay)
        answer = self._reply(request) if self._reply is not None else _by_rule(rule, request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, ChatResponse) else self._response(request, answer)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Answer a conversation word by word."""
        response = await self.chat(request)
        for piece in _WORD.findall(response.text) or [response.text]:
            yield ChatChunk(text=piece, role="assistant", id=response.id, model=response.model)
        calls = tuple(
            ToolCallDelta(index=index, id=call.id, name=call.name, arguments=call.arguments)
            for index, call in enumerate(response.message.tool_calls)
        )
        yield ChatChunk(tool_calls=calls, finish_reason=response.finish_reason)
        yield ChatChunk(usage=response.usage)

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        """Answer a text as if it were a message."""
        message = Message(role="user", content=request.prompt)
        return await self.chat(ChatRequest(model=request.model, messages=(message,)))

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Return vectors in which texts that share words are near each other."""
        size = request.dimensions or DIMENSIONS
        words = sum(len(text.split()) for text in request.inputs)
        return EmbeddingResponse(
            vectors=tuple(_vector(text, size) for text in request.inputs),
            usage=Usage(input_tokens=words),
            model=request.model or self._name,
        )

    async def aclose(self) -> None:
        """Nothing is held."""

    def check(self, model: str) -> None:
        """Accept any name."""

    def close(self) -> None:
        """Nothing is held."""

    def _rule(self, request: ChatRequest) -> Rule:
        said = _last(request)
        for index, (rule, pattern) in enumerate(self._rules):
            left = self._left[index]
            if pattern.search(said) and left != 0:
                self._left[index] = None if left is None else left - 1
                return rule
        return Rule()

    def _response(self, request: ChatRequest, text: str) -> ChatResponse:
        return respond(request, Message(role="assistant", content=text), self._name)


def respond(request: ChatRequest, message: Message, name: str = "scripted") -> ChatResponse:
    """Return ``message`` as the response to ``request``: id, usage and finish reason follow from the two."""
    call = message.tool_calls[0] if message.tool_calls else None
    return ChatResponse(
        id=f"scripted-{digest(request)[:16]}",
        model=request.model or name,
        message=message,
        finish_reason="tool_calls" if call else "stop",
        usage=Usage(
            input_tokens=sum(len(item.text.split()) for item in request.messages),
            output_tokens=len(message.text.split()) + (len(call.arguments.split()) if call else 0),
        ),
        choices=(message,),
    )


def build(connection: Connection, context: ProviderContext) -> ScriptedModel:
    """Return the model of a connection: `script` is a file from the project's folder, `delay` seconds."""
    rules: tuple[Rule, ...] = ()
    if connection.get("script"):
        document = load_yaml(context.root / Path(connection.get("script")))
        rules = convert(document.data or [], tuple[Rule, ...], where=document.where, error=ConnectionFault)
    delay = connection.get("delay", "0")
    try:
        seconds = float(delay)
    except ValueError as error:
        raise ConnectionFault(
            f"'delay' is '{delay}'", where=connection.where, expected="seconds, such as 0.5"
        ) from error
    return ScriptedModel(rules, delay=seconds, name=connection.get("model", "scripted"))


def _by_rule(rule: Rule, request: ChatRequest) -> Answer:
    if rule.error is not None:
        retryable = rule.error in {408, 409, 429} or rule.error >= 500
        return ModelError(
            f"HTTP {rule.error}: as the script says",
            status=rule.error,
            retryable=retryable,
            retry_after=rule.retry_after,
            where="the scripted model",
        )
    if rule.call is not None:
        return respond(request, _calling(rule.call.name, rule.call.arguments))
    if rule.reply is not None:
        return rule.reply
    return _unscripted(request)


def _unscripted(request: ChatRequest) -> Answer:
    said = _last(request)
    form = request.response_format or {}
    if form.get("type") == "json_schema":
        schema: dict[str, Any] = form.get("json_schema", {}).get("schema", {})
        return msgspec.json.encode(sample(schema, said)).decode()
    if form.get("type") == "json_object":
        return msgspec.json.encode({"answer": said}).decode()
    if request.tools and request.tool_choice == "required":
        function: dict[str, Any] = request.tools[0]["function"]
        arguments = sample(function.get("parameters", {"type": "object"}), said)
        return respond(request, _calling(function["name"], arguments))
    return said


def _calling(name: str, arguments: Any) -> Message:
    text = msgspec.json.encode(arguments).decode()
    call = ToolCall(id=f"call-{digest([name, text])[:12]}", name=name, arguments=text)
    return Message(role="assistant", tool_calls=(call,))


def _last(request: ChatRequest) -> str:
    """Return the last words of the user."""
    return next((item.text for item in reversed(request.messages) if item.role == "user"), "")


def _vector(text: str, size: int) -> tuple[float, ...]:
    """Return a bag of words as a unit vector: each word is hashed to one direction, with a sign."""
    numbers = [0.0] * size
    for word in re.findall(r"\w+", text.lower()):
        place = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        numbers[(place >> 1) % size] += 1.0 if place & 1 else -1.0
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return tuple(number / length for number in numbers)
