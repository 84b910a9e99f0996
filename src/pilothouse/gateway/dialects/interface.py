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


class Relay(Protocol):
    """Takes an upstream's bytes and gives the client's.

    A form's own, its meter, watches a stream that passes untranslated, at the least cost: it must see every byte, and
    decodes few.
    """

    @property
    def usage(self) -> Usage | None:
        """The last usage seen; a later one replaces an earlier one, they are never added."""
        ...

    @property
    def model(self) -> str:
        """The answer's own model name; empty until seen."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether the answer is whole; what comes after, such as the usage, must still be read."""
        ...

    @property
    def in_tool_call(self) -> bool:
        """Whether it stands inside a tool call that is not complete."""
        ...

    @property
    def text_bytes(self) -> int:
        """Bytes of answer text so far, for an estimate when no usage comes."""
        ...

    @property
    def deltas(self) -> int:
        """Pieces of answer text so far, more or less."""
        ...

    @property
    def pieces(self) -> int:
        """Pieces of answer text so far, none too many: each is a token at least."""
        ...

    @property
    def has_begun(self) -> bool:
        """Whether more than the opening of the answer has come: from here on nobody else can take the call over."""
        ...

    @property
    def error(self) -> str:
        """The words of an error that the upstream reported inside the stream; empty for none.

        It and what follows are not handed on, for the gateway tells it in its own words.
        """
        ...

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came and return those to send now: whole events only; without what only we asked for.

        Raises:
            ValueError: for what is no stream of the form, such as a page of HTML.
        """
        ...

    def finish(self) -> bytes:
        """Return what is to be sent after the upstream's last byte."""
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

    def meter(self, *, hide_usage: bool) -> Relay:
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
