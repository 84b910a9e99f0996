"""Answers of Google's models, whole and streamed, as the hub's nouns."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.ids import new_id
from pilothouse.gateway.dialects.frames import StreamError, gathered
from pilothouse.gateway.dialects.gemini.requests import MARK
from pilothouse.gateway.dialects.upstream_only import quoted
from pilothouse.models.providers import answers
from pilothouse.models.providers.sse import EventParser
from pilothouse.models.types import (
    ChatChunk,
    ChatResponse,
    Content,
    ImagePart,
    Message,
    Part,
    TextPart,
    Thought,
    ToolCall,
    ToolCallDelta,
    Usage,
)

_FINISH: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        "content_filter",
    ),
}


class _Wire(Struct, rename="camel"):
    """What all have in common: keys are written in camel case, unknown ones are left alone."""


class _Modality(_Wire):
    modality: str = ""
    token_count: int = 0


class _Usage(_Wire):
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: list[_Modality] = []
    cache_tokens_details: list[_Modality] = []
    candidates_tokens_details: list[_Modality] = []
    tool_use_prompt_tokens_details: list[_Modality] = []

    def usage(self) -> Usage:
        """Return it with parts inside their wholes: Google counts thoughts and prompts of tools beside the others."""
        prompts = [*self.prompt_tokens_details, *self.tool_use_prompt_tokens_details]
        return Usage(
            input_tokens=self.prompt_token_count + self.tool_use_prompt_token_count,
            output_tokens=self.candidates_token_count + self.thoughts_token_count,
            cached_input_tokens=self.cached_content_token_count,
            reasoning_tokens=self.thoughts_token_count,
            audio_input_tokens=_of(prompts, "AUDIO"),
            audio_output_tokens=_of(self.candidates_tokens_details, "AUDIO"),
            image_input_tokens=_of(prompts, "IMAGE"),
            image_output_tokens=_of(self.candidates_tokens_details, "IMAGE"),
            cached_audio_tokens=_of(self.cache_tokens_details, "AUDIO"),
        )


class _Call(_Wire):
    name: str = ""
    args: dict[str, Any] | None = None
    id: str = ""


class _Blob(_Wire):
    mime_type: str = ""
    data: str = ""


class _Part(_Wire):
    text: str | None = None
    thought: bool = False
    thought_signature: str = ""
    function_call: _Call | None = None
    inline_data: _Blob | None = None


class _Content(_Wire):
    parts: list[_Part] = []


class _Candidate(_Wire):
    content: _Content = msgspec.field(default_factory=_Content)
    finish_reason: str | None = None
    index: int = 0
    logprobs_result: Any = None


class _Feedback(_Wire):
    block_reason: str = ""
    block_reason_message: str = ""


class Answer(_Wire):
    """One answer, or one event of a stream."""

    candidates: list[_Candidate] = []
    usage_metadata: _Usage | None = None
    prompt_feedback: _Feedback | None = None
    model_version: str = ""
    response_id: str = ""
    error: Any = None


_decoder = msgspec.json.Decoder(Answer)


def decode(body: bytes) -> Answer:
    """Read one answer or event.

    Raises:
        ValueError: for what is none, or an error that the upstream reports in it.
    """
    try:
        answer = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the answer of Gemini cannot be read ({error}): {quoted(body)}") from None
    if answer.error is not None:
        raise StreamError(answers.describe(body)[0])
    return answer


def decode_response(body: bytes) -> ChatResponse:
    """Read a whole answer.

    Raises:
        ValueError: for what is none, or an error that the upstream reports in it.
    """
    answer = decode(body)
    candidates = sorted(answer.candidates, key=lambda candidate: candidate.index)
    messages = [_message(candidate, answer) for candidate in candidates]
    reasons = [_finish(candidate, is_calling=_is_calling(candidate)) for candidate in candidates]
    if not candidates:
        messages, reasons = [Message(role="assistant", refusal=_blocked(answer))], ["content_filter"]
    return ChatResponse(
        id=answer.response_id,
        model=answer.model_version,
        message=messages[0],
        finish_reason=reasons[0],
        usage=answer.usage_metadata.usage() if answer.usage_metadata else None,
        choices=tuple(messages),
        finish_reasons=tuple(reasons),
        logprobs=candidates[0].logprobs_result if candidates else None,
    )


class GeminiReader:
    """Reads a stream of `streamGenerateContent?alt=sse`."""

    def __init__(self) -> None:
        self._parser = EventParser()
        self._open: set[int] = set()
        self._ended: set[int] = set()
        self._calls: dict[int, int] = {}
        self._is_blocked = False

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Return what the bytes complete.

        Raises:
            ValueError: for what is no such stream, or an error that the upstream reports in it.
        """
        return gathered(self._event(event) for event in self._parser.feed(data))

    def finish(self) -> bool:
        """Tell whether every answer that began has ended."""
        _, is_torn = self._parser.finish()
        return not is_torn and not self._open and (self._is_blocked or bool(self._ended))

    def _event(self, event: str) -> list[ChatChunk]:
        answer = decode(event.encode())
        chunks = [chunk for candidate in answer.candidates for chunk in self._candidate(candidate, answer)]
        if not answer.candidates and answer.prompt_feedback is not None and answer.prompt_feedback.block_reason:
            self._is_blocked = True
            chunks.append(ChatChunk(refusal=_blocked(answer), finish_reason="content_filter", id=answer.response_id))
        # Each event tells the usage so far: the one that ends an answer tells all of it, or one that follows.
        if answer.usage_metadata is not None and (self._is_blocked or (self._ended and not self._open)):
            chunks.append(
                ChatChunk(usage=answer.usage_metadata.usage(), id=answer.response_id, model=answer.model_version)
            )
        return chunks

    def _candidate(self, candidate: _Candidate, answer: Answer) -> list[ChatChunk]:
        index = candidate.index
        chunks: list[ChatChunk] = []
        if index not in self._ended:
            self._open.add(index)
        for part in candidate.content.parts:
            chunk = self._part(part, index, answer)
            if chunk is not None:
                chunks.append(chunk)
        if candidate.finish_reason:
            self._open.discard(index)
            self._ended.add(index)
            reason = _finish(candidate, is_calling=index in self._calls)
            chunks.append(
                ChatChunk(
                    index=index,
                    finish_reason=reason,
                    id=answer.response_id,
                    model=answer.model_version,
                    logprobs=candidate.logprobs_result,
                )
            )
        return chunks

    def _part(self, part: _Part, index: int, answer: Answer) -> ChatChunk | None:
        signature = f"{MARK}{part.thought_signature}" if part.thought_signature else ""
        chunk = ChatChunk(index=index, signature=signature, id=answer.response_id, model=answer.model_version)
        if part.function_call is not None:
            call = part.function_call
            place = self._calls.get(index, 0)
            self._calls[index] = place + 1
            delta = ToolCallDelta(index=place, id=_call_id(call), name=call.name, arguments=_arguments(call))
            return replace(chunk, tool_calls=(delta,))
        if part.inline_data is not None:
            raise ValueError("Gemini sent a picture or sound inside the stream: ask for it without streaming")
        if part.thought:
            return replace(chunk, reasoning=part.text or "")
        return replace(chunk, text=part.text or "", role="assistant") if part.text or signature else None


def _message(candidate: _Candidate, answer: Answer) -> Message:
    parts = candidate.content.parts
    content = [item for part in parts if (item := _said(part)) is not None]
    calls = [part.function_call for part in parts if part.function_call is not None]
    thoughts = tuple(
        Thought(
            text=(part.text or "") if part.thought else "",
            signature=f"{MARK}{part.thought_signature}" if part.thought_signature else "",
        )
        for part in parts
        if part.thought or part.thought_signature
    )
    spoken: Content = tuple(content)
    if all(isinstance(item, TextPart) for item in content):
        spoken = "".join(item.text for item in content if isinstance(item, TextPart))
    return Message(
        role="assistant",
        content=spoken,
        tool_calls=tuple(ToolCall(id=_call_id(call), name=call.name, arguments=_arguments(call)) for call in calls),
        reasoning="".join(thought.text for thought in thoughts) or None,
        thoughts=thoughts,
    )


def _said(part: _Part) -> Part | None:
    if part.inline_data is not None:
        try:
            data = base64.b64decode(part.inline_data.data, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("the bytes in the answer of Gemini are not base64") from None
        return ImagePart(data=data, media_type=part.inline_data.mime_type)
    return TextPart(text=part.text) if part.text and not part.thought else None


def _is_calling(candidate: _Candidate) -> bool:
    return any(part.function_call is not None for part in candidate.content.parts)


def _finish(candidate: _Candidate, *, is_calling: bool) -> str | None:
    reason = candidate.finish_reason
    if reason == "STOP" and is_calling:
        return "tool_calls"
    return _FINISH.get(reason, reason.lower()) if reason else None


def _blocked(answer: Answer) -> str:
    feedback = answer.prompt_feedback
    if feedback is None or not feedback.block_reason:
        raise ValueError("the answer of Gemini holds no candidates")
    return feedback.block_reason_message or f"the prompt was blocked: {feedback.block_reason}"


def _call_id(call: _Call) -> str:
    return call.id or f"call_{new_id()}"


def _arguments(call: _Call) -> str:
    return msgspec.json.encode(call.args or {}).decode()


def _of(details: list[_Modality], modality: str) -> int:
    return sum(item.token_count for item in details if item.modality == modality)
