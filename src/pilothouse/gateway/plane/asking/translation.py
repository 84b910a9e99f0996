"""Whole requests and answers between the client's form and the upstream's: passed, or translated."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct, structs

from pilothouse.gateway.dialects import embeddings
from pilothouse.gateway.dialects.codecs import codec, has_codec
from pilothouse.gateway.dialects.interface import Splice
from pilothouse.gateway.dialects.rerank import RERANK
from pilothouse.gateway.plane.asking.bodies import spliced
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.types import Wire
from pilothouse.gateway.upstream.types import Answer
from pilothouse.models.types import ChatResponse, Usage


class Whole(Struct, frozen=True, kw_only=True):
    """A whole answer.

    Attributes:
        body: In the client's form.
        usage: None where the upstream said nothing.
        model: As the upstream names it; empty where it does not.
        text_bytes: Of the answer's text, tools' arguments included, where the usage is not known; 0 otherwise.
    """

    body: bytes
    usage: Usage | None = None
    model: str = ""
    text_bytes: int = 0


def outgoing_body(call: Call, wire: Wire, model: str) -> bytes:
    """Return the request's body in an upstream's form.

    Raises:
        ValueError: where that form cannot say what the request says.
    """
    wanted = call.endpoint.wire
    if wire == wanted:
        asks = call.facts.stream and has_codec(wire)
        splice = Splice(model=model or None, max_output_tokens=call.max_output, ask_usage=asks)
        return spliced(call.body, call.raw, wire, splice, call.headers.get("content-type", ""))
    if wire in embeddings.CODECS:
        return embeddings.CODECS[wire].encode(embeddings.read_request(call.raw), model)
    request = codec(wanted).decode_request(call.raw)
    if call.max_output is not None:
        # What was set aside is the most that may be written, in whichever form it is asked for.
        request = structs.replace(request, max_tokens=call.max_output)
    return codec(wire).encode_request(request, model=model, stream=call.facts.stream)


def whole_answer(call: Call, wire: Wire, body: bytes, answer: Answer) -> Whole:
    """Return an upstream's whole answer as the client wants it.

    Raises:
        ValueError: for what is no answer of its form.
    """
    wanted = call.endpoint.wire
    if not body.isascii() and wire not in _BINARY:
        body.decode()  # a client's parser would choke on it later, without a word of whose fault it is
    if has_codec(wire):
        usage, model = codec(wire).usage(body)
        read = codec(wire).decode_response(body) if wire != wanted or usage is None else None
        if wire != wanted and read is not None:
            body = codec(wanted).encode_response(read)
        written = text_bytes(read) if usage is None and read is not None else 0
        return Whole(body=body, usage=usage, model=model, text_bytes=written)
    if wire in embeddings.CODECS:
        asked = embeddings.read_request(call.raw)
        response = embeddings.CODECS[wire].decode(body, asked, answer.headers)
        return Whole(body=embeddings.write_response(response, asked, call.facts.model), usage=response.usage)
    if wire == "cohere.rerank":
        usage, model = RERANK.usage(body)
        return Whole(body=body, usage=usage, model=model)
    reader = _USAGES.get(wire)
    return Whole(body=body, usage=reader(call, body, answer) if reader is not None else Usage())


def text_bytes(answer: ChatResponse) -> int:
    """Return the length of what was written in all choices of an answer."""
    return sum(
        len(message.text.encode()) + sum(len(called.arguments.encode()) for called in message.tool_calls)
        for message in answer.choices or (answer.message,)
    )


class _Details(Struct):
    image_tokens: int = 0
    audio_tokens: int = 0


class _Counts(Struct):
    prompt_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float | None = None
    input_tokens_details: _Details | None = None
    input_token_details: _Details | None = None


class _List(Struct):
    data: list[msgspec.Raw]
    usage: _Counts | None = None


class _Transcript(Struct):
    usage: _Counts | None = None
    duration: float | None = None


_BINARY: Final = frozenset({"openai.speech", "openai.raw"})

_lists: Final = msgspec.json.Decoder(_List)
_transcripts: Final = msgspec.json.Decoder(_Transcript)
_texts: Final = msgspec.json.Decoder(str)
_NO_DETAILS: Final = _Details()


def _of_embeddings(_call: Call, body: bytes, _answer: Answer) -> Usage | None:
    usage = _lists.decode(body).usage
    return Usage(input_tokens=usage.prompt_tokens) if usage is not None else None


def _of_images(_call: Call, body: bytes, _answer: Answer) -> Usage | None:
    images = _lists.decode(body)
    usage = images.usage
    if usage is None:
        return Usage(images=len(images.data))
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        image_input_tokens=(usage.input_tokens_details or _NO_DETAILS).image_tokens,
        image_output_tokens=usage.output_tokens,
    )


def _of_speech(call: Call, _body: bytes, answer: Answer) -> Usage | None:
    if "json" in answer.content_type:
        raise ValueError("sound was asked for")
    return Usage(characters=len(_texts.decode(call.body["input"]))) if call.body and "input" in call.body else None


def _of_transcriptions(_call: Call, body: bytes, answer: Answer) -> Usage | None:
    if "json" not in answer.content_type:
        return None
    transcript = _transcripts.decode(body)
    usage = transcript.usage
    seconds = usage.seconds if usage is not None and usage.seconds is not None else transcript.duration
    if seconds is not None:
        return Usage(milliseconds=round(seconds * 1000))
    if usage is None:
        return None
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        audio_input_tokens=(usage.input_token_details or _NO_DETAILS).audio_tokens,
    )


_USAGES: Final = {
    "openai.embeddings": _of_embeddings,
    "openai.images": _of_images,
    "openai.speech": _of_speech,
    "openai.transcriptions": _of_transcriptions,
}
