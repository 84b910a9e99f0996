"""What reads bytes of strangers, each as a function of bytes: it may raise `ValueError` and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import product
from typing import Final

from pilothouse.core.clock import SystemClock
from pilothouse.gateway.dialects import embeddings
from pilothouse.gateway.dialects.codecs import codec
from pilothouse.gateway.dialects.facts import check_request
from pilothouse.gateway.dialects.interface import Splice
from pilothouse.gateway.dialects.rerank import RERANK
from pilothouse.gateway.plane.asking.bodies import decode_body, model_of_form, spliced
from pilothouse.gateway.providers.refused import Refusals
from pilothouse.gateway.types import Wire
from pilothouse.models.secret import Secret

CLIENTS: Final[tuple[Wire, ...]] = ("openai.chat", "openai.completions", "openai.responses", "anthropic.messages")
UPSTREAMS: Final[tuple[Wire, ...]] = (*CLIENTS, "gemini.generate", "bedrock.converse", "cohere.chat")
CHECKED: Final[tuple[Wire, ...]] = (
    *CLIENTS,
    "openai.embeddings",
    "openai.images",
    "openai.speech",
    "openai.moderations",
    "anthropic.count_tokens",
    "cohere.rerank",
)
SECRET: Final = "sk-fuzzed-0123456789"
_refusals: Final = Refusals([Secret(SECRET)], SystemClock())


def requests(data: bytes) -> None:
    """A request of any form: looked at, spliced, translated into any form."""
    for wire in CHECKED:
        with suppress(ValueError):
            body = decode_body(data)
            check_request(wire, body)
            spliced(body, data, wire, Splice(model="m", max_output_tokens=7, ask_usage=True), "")
    for wire in CLIENTS:
        with suppress(ValueError):
            request = codec(wire).decode_request(data)
            for target in UPSTREAMS:
                with suppress(ValueError):
                    codec(target).encode_request(request, model="m", stream=True)
    with suppress(ValueError):
        call = embeddings.read_request(data)
        for each in embeddings.CODECS.values():
            with suppress(ValueError):
                each.encode(call, "m")


def answers(data: bytes) -> None:
    """A whole answer of any upstream, translated for any client."""
    for wire in UPSTREAMS:
        with suppress(ValueError):
            codec(wire).usage(data)
            response = codec(wire).decode_response(data)
            for target in CLIENTS:
                with suppress(ValueError):
                    codec(target).encode_response(response)
    call = embeddings.EmbeddingCall(inputs=("a",))
    for each in embeddings.CODECS.values():
        with suppress(ValueError):
            each.decode(data, call, {})
    with suppress(ValueError):
        RERANK.usage(data)


def streams(data: bytes) -> None:
    """A stream of any upstream, cut where its first byte says, metered, and translated for any client."""
    at = data[0] if data else 0
    parts = (data[1 : 1 + at], data[1 + at :])
    for wire, hide in product(CLIENTS, (True, False)):
        meter = codec(wire).meter(hide_usage=hide)
        with suppress(ValueError):
            passed = b"".join(map(meter.feed, parts))
            assert hide or len(passed) <= len(data)
    for wire, target in product(UPSTREAMS, CLIENTS):
        reader = codec(wire).reader()
        writer = codec(target).writer(call_id="c", model="m", include_usage=True)
        with suppress(ValueError):
            for part in parts:
                for chunk in reader.feed(part):
                    writer.feed(chunk)
            reader.finish()
            writer.finish(None)


def forms(data: bytes) -> None:
    """A form of several parts whose boundary is the first line."""
    boundary, _, rest = data.partition(b"\n")
    content_type = "multipart/form-data; boundary=" + boundary.decode("latin-1")
    with suppress(ValueError):
        model_of_form(rest, content_type)
        spliced(None, rest, "openai.transcriptions", Splice(model="m"), content_type)


def refusals(data: bytes) -> None:
    """An upstream's error, with the upstream's key in it: told without."""
    headers, _, body = data.partition(b"\n")
    for status in (200, 400, 404, 429, 500):
        text = headers.decode("latin-1")
        told = _refusals.read(status, {"retry-after": text, "x-amzn-errortype": text}, body + SECRET.encode())
        assert SECRET not in told.message
        assert told.retry_after is None or 0 <= told.retry_after <= 86_400


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "requests": requests,
    "answers": answers,
    "streams": streams,
    "forms": forms,
    "refusals": refusals,
}
