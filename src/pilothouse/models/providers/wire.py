"""OpenAI's dialect of chat, completions and embeddings: our nouns to JSON and back.

Decoding takes what is needed and tolerates the rest, for many servers speak this dialect with an accent.
"""

from __future__ import annotations

import base64
import struct
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from pilothouse.models.types import (
    AudioPart,
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    EmbeddingRequest,
    EmbeddingResponse,
    FilePart,
    ImagePart,
    Message,
    Part,
    Role,
    Sampling,
    TextPart,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_FINISH: Final = {
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "safety": "content_filter",
}
_CHAT_KEYS: Final = (
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "top_k",
    "parallel_tool_calls",
    "logprobs",
    "top_logprobs",
    "modalities",
    "audio",
    "verbosity",
    "service_tier",
    "metadata",
)
_QUOTED: Final = 120
"""Characters of an unreadable answer that a message quotes."""
_ROLES: Final[dict[str, Role]] = {"assistant": "assistant", "tool": "tool", "user": "user", "system": "system"}


class WireError(ValueError):
    """An answer that is not in the dialect.

    Args:
        message: What is wrong with it.
        torn: Whether it looks cut short, so that another attempt may do better.
    """

    def __init__(self, message: str, *, torn: bool = False) -> None:
        super().__init__(message)
        self.torn = torn


class _Details(Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cache_write_tokens: int | None = None


class WireUsage(Struct):
    """What a call used, in any of the names servers of this dialect give it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = None

    def usage(self) -> Usage | None:
        """Return it as a noun; None where neither side was counted."""
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        prompt = self.prompt_tokens_details or _Details()
        completion = self.completion_tokens_details or _Details()
        return Usage(
            input_tokens=self.prompt_tokens or 0,
            output_tokens=self.completion_tokens or 0,
            cached_input_tokens=prompt.cached_tokens or self.prompt_cache_hit_tokens or 0,
            reasoning_tokens=completion.reasoning_tokens or 0,
            cache_write_tokens=prompt.cache_write_tokens or 0,
            audio_input_tokens=prompt.audio_tokens or 0,
            image_input_tokens=prompt.image_tokens or 0,
            audio_output_tokens=completion.audio_tokens or 0,
            image_output_tokens=completion.image_tokens or 0,
        )


class _Function(Struct):
    name: str | None = None
    arguments: Any = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    role: str | None = None
    content: Any = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    audio: dict[str, Any] | None = None
    annotations: list[dict[str, Any]] | None = None


class _Choice(Struct):
    index: int = 0
    message: _Message | None = None
    delta: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Any = None


class Answer(Struct):
    """One answer, or one event of a stream, as it was sent."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: WireUsage | None = None
    error: Any = None
    created: float | None = None
    service_tier: str | None = None


class _Vector(Struct):
    embedding: list[float] | str
    index: int = 0


class _Vectors(Struct):
    data: list[_Vector] | None = None
    model: str | None = None
    usage: WireUsage | None = None


_answers = msgspec.json.Decoder(Answer)
_vectors = msgspec.json.Decoder(_Vectors)


def chat_body(request: ChatRequest) -> dict[str, Any]:
    """Return the body of a chat call."""
    body: dict[str, Any] = {"messages": [_message(message) for message in request.messages]}
    for key in _CHAT_KEYS:
        value = getattr(request, key)
        if value is not None:
            body[key] = list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value
    if request.reasoning is not None and request.reasoning.effort is not None:
        body["reasoning_effort"] = request.reasoning.effort
    return _with_sampling(body, request)


def completion_body(request: CompletionRequest) -> dict[str, Any]:
    """Return the body of a completion call."""
    body: dict[str, Any] = {"prompt": request.prompt}
    for key in ("suffix", "logprobs", "echo", "best_of"):
        if getattr(request, key) is not None:
            body[key] = getattr(request, key)
    return _with_sampling(body, request)


def embedding_body(request: EmbeddingRequest) -> dict[str, Any]:
    """Return the body of an embedding call."""
    body: dict[str, Any] = {"model": request.model, "input": list(request.inputs), "encoding_format": "float"}
    for key in ("dimensions", "user"):
        if getattr(request, key) is not None:
            body[key] = getattr(request, key)
    return body


def decode_answer(data: bytes | str) -> Answer:
    """Read one JSON answer or one event of a stream.

    Raises:
        WireError: when it is not in the dialect.
    """
    try:
        return _answers.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(data, error) from error


def error_code(data: bytes) -> int:
    """Return the HTTP status that a body reports under ``error.code`` or ``error.status``; 0 where it does not."""
    error: Any = decode_answer(data).error
    if isinstance(error, dict):
        fields = cast("dict[str, Any]", error)
        for value in (fields.get("code"), fields.get("status"), fields.get("http_code")):
            if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
                return int(value)
    return 0


def response_of(answer: Answer) -> ChatResponse:
    """Return a whole answer.

    Raises:
        WireError: when it holds no choice.
    """
    choices = sorted(answer.choices or (), key=lambda choice: choice.index)
    if not choices:
        raise WireError("the answer holds no choices")
    messages = tuple(_from_choice(choice) for choice in choices)
    return ChatResponse(
        id=answer.id or "",
        model=answer.model or "",
        message=messages[0],
        finish_reason=_finish(choices[0].finish_reason),
        usage=answer.usage.usage() if answer.usage else None,
        choices=messages,
        logprobs=choices[0].logprobs,
        finish_reasons=tuple(_finish(choice.finish_reason) for choice in choices),
        logprobs_of=tuple(choice.logprobs for choice in choices),
        created=int(answer.created or 0),
        service_tier=answer.service_tier,
    )


def chunks_of(answer: Answer) -> list[ChatChunk]:
    """Return the pieces of one event of a stream, without its usage."""
    return [_chunk(answer, choice) for choice in answer.choices or ()]


def usage_of(answer: Answer) -> Usage | None:
    """Return the usage an answer or event reports, if any."""
    return answer.usage.usage() if answer.usage else None


def embeddings_of(data: bytes, count: int) -> EmbeddingResponse:
    """Read the answer of an embedding call for ``count`` inputs.

    Raises:
        WireError: when it is not in the dialect, or holds another number of vectors.
    """
    try:
        answer = _vectors.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(data, error) from error
    found = sorted(answer.data or (), key=lambda vector: vector.index)
    if len(found) != count:
        raise WireError(f"{count} texts were sent, {len(found)} vectors came back")
    return EmbeddingResponse(
        vectors=tuple(_floats(vector.embedding) for vector in found),
        usage=answer.usage.usage() if answer.usage else None,
        model=answer.model or "",
    )


def _unreadable(data: bytes | str, error: Exception) -> WireError:
    text = data if isinstance(data, str) else data.decode("utf-8", errors="replace")
    torn = not isinstance(error, msgspec.ValidationError)
    return WireError(f"the answer cannot be read ({error}): {text[:_QUOTED]}", torn=torn)


def _with_sampling(body: dict[str, Any], request: Sampling) -> dict[str, Any]:
    if request.model:
        body["model"] = request.model
    if request.stop is not None:
        body["stop"] = request.stop if isinstance(request.stop, str) else list(request.stop)
    for key in ("temperature", "top_p", "max_tokens", "seed", "n", "presence_penalty", "frequency_penalty"):
        if getattr(request, key) is not None:
            body[key] = getattr(request, key)
    for key in ("logit_bias", "user"):
        if getattr(request, key):
            body[key] = getattr(request, key)
    return body


def _message(message: Message) -> dict[str, Any]:
    content = message.content
    body: dict[str, Any] = {
        "role": message.role,
        "content": content if isinstance(content, str) else [_part(part) for part in content],
    }
    if message.name is not None:
        body["name"] = message.name
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    if message.refusal is not None:
        body["refusal"] = message.refusal
    if message.audio is not None:
        body["audio"] = {"id": message.audio.get("id")}
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.function_call is not None:
        body["function_call"] = {"name": message.function_call.name, "arguments": message.function_call.arguments}
    if not content and (message.tool_calls or message.function_call):
        body["content"] = None
    return body


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        address = part.url if part.data is None else _data_url(part.media_type, part.data)
        image = {"url": address, **({"detail": part.detail} if part.detail else {})}
        return {"type": "image_url", "image_url": image}
    if isinstance(part, AudioPart):
        return {"type": "input_audio", "input_audio": {"data": _base64(part.data), "format": part.format}}
    return {"type": "file", "file": _file(part)}


def _file(part: FilePart) -> dict[str, Any]:
    if part.file_id is not None:
        return {"file_id": part.file_id}
    return {"filename": part.name or "file", "file_data": _data_url(part.media_type, part.data or b"")}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{_base64(data)}"


def _from_choice(choice: _Choice) -> Message:
    given = choice.message or _Message(content=choice.text)
    function = given.function_call
    return Message(
        role="assistant",
        content=_content(given.content),
        tool_calls=tuple(
            ToolCall(id=call.id or "", name=call.function.name or "", arguments=_arguments(call.function.arguments))
            for call in given.tool_calls or ()
            if call.function is not None
        ),
        function_call=ToolCall(id="", name=function.name or "", arguments=_arguments(function.arguments))
        if function
        else None,
        refusal=given.refusal or None,
        reasoning=given.reasoning_content or given.reasoning or None,
        annotations=tuple(given.annotations or ()),
        audio=given.audio,
    )


def _chunk(answer: Answer, choice: _Choice) -> ChatChunk:
    delta = choice.delta or choice.message or _Message(content=choice.text)
    # The older form of one call streams as a tool call without an id.
    calls = delta.tool_calls or ([_Call(function=delta.function_call)] if delta.function_call else [])
    return ChatChunk(
        text=_content(delta.content),
        role=_ROLES.get(delta.role or ""),
        tool_calls=tuple(
            ToolCallDelta(
                index=position if call.index is None else call.index,
                id=call.id or "",
                name=(call.function.name or "") if call.function else "",
                arguments=_arguments(call.function.arguments) if call.function else "",
            )
            for position, call in enumerate(calls)
        ),
        finish_reason=_finish(choice.finish_reason),
        index=choice.index,
        refusal=delta.refusal or "",
        reasoning=delta.reasoning_content or delta.reasoning or "",
        id=answer.id or "",
        model=answer.model or "",
        logprobs=choice.logprobs,
        audio=delta.audio,
        annotations=tuple(delta.annotations or ()),
    )


def _content(content: Any) -> str:
    """Return the text of a content; some servers send a list of parts."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [cast("dict[str, Any]", part) for part in cast("list[Any]", content) if isinstance(part, dict)]
        return "".join(str(part.get("text") or "") for part in parts)
    raise WireError(f"the content of the answer is of the kind {type(content).__name__}, not text")


def _arguments(arguments: Any) -> str:
    """Return arguments as JSON text; some servers send the object itself."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def _finish(reason: str | None) -> str | None:
    return _FINISH.get(reason, reason) if reason else None


def _floats(vector: list[float] | str) -> tuple[float, ...]:
    if isinstance(vector, list):
        return tuple(vector)
    data = base64.b64decode(vector)
    return struct.unpack(f"<{len(data) // 4}f", data)
