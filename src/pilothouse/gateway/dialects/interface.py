"""What every form of a chat call can do: read and write requests, answers, streams."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from pilothouse.gateway.types import Body, Wire
from pilothouse.models.types import ChatChunk, ChatRequest, ChatResponse, Usage


class Splice(Struct, frozen=True, kw_only=True):
    """What is changed in a body that passes untranslated.

    Attributes:
        model: The deployment's name for the model; None to leave the client's.
        max_output_tokens: Put in where the client named none, and the bound of what it named; None for no bound.
        ask_usage: Whether a stream is made to report its usage, asked for by the client or not.
    """

    model: str | None = None
    max_output_tokens: int | None = None
    ask_usage: bool = False


class StreamReader(Protocol):
    """Puts the pieces of an upstream's stream together and reads them."""

    def feed(self, data: bytes) -> list[ChatChunk]:
        """Return what the bytes complete.

        Raises:
            ValueError: for what is no stream of this form.
        """
        ...

    def finish(self) -> bool:
        """Tell, at the end of the bytes, whether the answer was whole: its last event came."""
        ...


class StreamWriter(Protocol):
    """Writes a stream for a client."""

    def feed(self, chunk: ChatChunk) -> bytes:
        """Return the events of one chunk; empty for none."""
        ...

    def finish(self, usage: Usage | None) -> bytes:
        """Return the closing events, with the usage where the form or the client wants it."""
        ...


class StreamMeter(Protocol):
    """Watches a stream that passes untranslated, at the least cost: it must see every byte, and decodes few.

    Attributes:
        usage: The last usage seen; a later one replaces an earlier one, they are never added.
        model: The answer's own model name; empty until seen.
        is_finished: Whether the answer is whole; what comes after, such as the usage, must still be read.
        in_tool_call: Whether the stream stands inside a tool call that is not complete.
        text_bytes: Bytes of answer text so far, for an estimate when no usage comes.
        pieces: Events that held answer text, each a token at least.
        error: The words of an error that the upstream reported inside the stream, empty for none; it and what follows
            are not handed on, for the gateway tells it in its own words.
    """

    usage: Usage | None
    model: str
    is_finished: bool
    in_tool_call: bool
    text_bytes: int
    pieces: int
    error: str

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came and return those to hand on: whole events only; without what only we asked for.

        Raises:
            ValueError: for what is no stream of this form, such as a page of HTML.
        """
        ...


class Codec(Protocol):
    """One form. All methods are pure; a ``ValueError`` says what is wrong with a body, in words for its sender."""

    wire: Wire

    def decode_request(self, body: bytes) -> ChatRequest:
        """Read a client's request."""
        ...

    def encode_request(self, request: ChatRequest, *, model: str, stream: bool) -> bytes:
        """Write a request to an upstream.

        Raises:
            ValueError: where this form cannot say what the request says; nothing is dropped silently.
        """
        ...

    def decode_response(self, body: bytes) -> ChatResponse:
        """Read an upstream's whole answer."""
        ...

    def encode_response(self, response: ChatResponse) -> bytes:
        """Write a whole answer for a client."""
        ...

    def reader(self) -> StreamReader:
        """Return what reads one upstream stream of this form."""
        ...

    def writer(self, *, call_id: str, model: str, include_usage: bool) -> StreamWriter:
        """Return what writes one stream of this form for a client."""
        ...

    def meter(self, *, hide_usage: bool) -> StreamMeter:
        """Return what watches one stream; ``hide_usage`` leaves out the usage that only we asked for."""
        ...

    def splice(self, body: Body, splice: Splice) -> bytes:
        """Return the body of a request that passes untranslated, with the changes."""
        ...

    def usage(self, body: bytes) -> tuple[Usage | None, str]:
        """Return usage and model name of a whole answer, decoding no more than these.

        Raises:
            ValueError: for what is no answer of this form.
        """
        ...
