"""Which request gets which answer, and the faults that it was told to show."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from . import anthropic_messages, openai_chat, openai_others, openai_responses
from .answers import Asked, answer, reading
from .behaviour import Behaviour, behaviour
from .bill import Line, Used
from .plans import Frame, Plan, data, encode, event

DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/(.+)")
PAGE = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"
BAD_UTF8 = b"\xff\xfe\xc3("
SPOKEN = {
    "chat/completions": openai_chat.chat,
    "completions": openai_chat.completions,
    "responses": openai_responses.responses,
    "messages": anthropic_messages.messages,
}
OTHERS = {
    "embeddings": openai_others.embeddings,
    "moderations": openai_others.moderations,
    "images/generations": openai_others.images,
    "images/edits": openai_others.images,
    "audio/speech": openai_others.speech,
    "rerank": openai_others.rerank,
}
DECODER = msgspec.json.Decoder(Asked)


class Request(Struct, frozen=True, kw_only=True):
    """What arrived; header names are lower case."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def endpoint(self) -> str:
        """The path without version, query and Azure's prefix: `chat/completions`."""
        path = self.path.partition("?")[0]
        if match := DEPLOYMENT.match(path):
            return match[2]
        return re.sub(r"^(/openai)?(/v\d+)?/", "", path).lstrip("/")

    @property
    def anthropic(self) -> bool:
        """Whether it speaks Anthropic's dialect."""
        return self.endpoint.startswith("messages")


class Served(Struct, frozen=True, kw_only=True):
    """How a request is answered, faults included."""

    plan: Plan
    behaviour: Behaviour
    status: int = 200
    line: Line | None = None
    anthropic: bool = False


class Planned(Struct, frozen=True, kw_only=True):
    """What a request asks for, and the answer to it before faults."""

    model: str
    text: str
    told: Behaviour
    stream: bool
    plan: Plan


def plan(request: Request) -> Planned:
    """Read a request and plan its answer.

    Raises:
        LookupError: for an endpoint that does not exist.
        ValueError: for a body that is not its endpoint's, or a behaviour that does not exist.
    """
    endpoint = request.endpoint
    form = endpoint.startswith("audio/tr") or endpoint == "images/edits"
    asked = Asked()
    if form:
        asked.model = openai_others.multipart_model(request.body)
    elif request.body and not endpoint.startswith(("files", "batches", "fine_tuning", "uploads")):
        asked = DECODER.decode(request.body)
    if match := DEPLOYMENT.match(request.path):
        asked.model = unquote(match[1])
    text = next(
        (said for said in (request.headers.get(b"x-mock", b"").decode(), asked.user or "") if said.startswith("mock")),
        asked.model,
    )
    told = behaviour(text)
    made = _made(request, endpoint, asked, told)
    return Planned(model=asked.model, text=text, told=told, stream=made.frames is not None, plan=made)


def _made(request: Request, endpoint: str, asked: Asked, told: Behaviour) -> Plan:
    if endpoint in SPOKEN:
        return SPOKEN[endpoint](asked, told, answer(asked, told))
    if endpoint in OTHERS:
        return OTHERS[endpoint](asked, told)
    if endpoint == "messages/count_tokens":
        return anthropic_messages.count_tokens(reading(asked.words, told, output=0))
    if endpoint in {"audio/transcriptions", "audio/translations"}:
        return openai_others.transcriptions(asked.model, request.body, told)
    if endpoint == "models":
        return openai_others.models()
    if endpoint.partition("/")[0] in {"files", "batches", "fine_tuning", "uploads", "models", "vector_stores"}:
        return openai_others.passed(request.method, request.path, request.body)
    raise LookupError(endpoint)


def error(status: int, message: str, *, anthropic: bool, code: str | None = None) -> Plan:
    """Return an error as the dialect's servers write it."""
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
    if anthropic:
        kind = kinds.get(status, "invalid_request_error" if status < 500 else "api_error")
        body: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_mock"}
        return Plan(body=encode(body), used=Used())
    kind = "rate_limit_exceeded" if status == 429 else "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Plan(body=encode(body), used=Used())


def served(request: Request, planned: Planned, told: Behaviour, line: Line) -> Served:
    """Apply the fault of a behaviour to a plan."""
    made, status, anthropic = planned.plan, 200, request.anthropic
    again: tuple[tuple[bytes, bytes], ...] = ()
    if told.retry_after is not None:
        again = ((b"retry-after", f"{told.retry_after:g}".encode()),)
    if told.error is not None:
        status = told.error
        code = {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)
        made = error(status, f"The mock was told to answer {status}.", anthropic=anthropic, code=code)
    elif told.fault == "contextlength":
        status = 400
        message = (
            "prompt is too long: 250000 tokens > 200000 maximum"
            if anthropic
            else "This model's maximum context length is 128000 tokens. However, your messages resulted in 250000 tokens."
        )
        made = error(status, message, anthropic=anthropic, code="context_length_exceeded")
    elif told.fault == "contentfilter":
        status = 400
        message = "The response was filtered due to the prompt triggering the content management policy."
        made = error(status, message, anthropic=anthropic, code="content_filter")
    elif told.fault == "html":
        status = told.status or 200
        made = Plan(body=PAGE, used=made.used, media=b"text/html")
    elif told.fault == "emptybody":
        made = Plan(used=made.used, media=made.media)
    elif made.frames is None and told.fault == "malformed":
        made = msgspec.structs.replace(made, body=made.body[: len(made.body) // 2])
    elif made.frames is None and told.fault == "badutf8":
        made = msgspec.structs.replace(made, body=_spoilt(made.body))
    if again:
        made = msgspec.structs.replace(made, headers=(*made.headers, *again))
    return Served(plan=made, behaviour=told, status=status, line=line, anthropic=anthropic)


def _spoilt(text: bytes) -> bytes:
    """Put bytes that are no UTF-8 into the first text that the JSON holds."""
    found = re.search(rb'"(?:content|text|delta|thinking|arguments|partial_json)":"', text)
    at = found.end() if found else len(text) // 2
    return text[:at] + BAD_UTF8 + text[at:]


def faulty(served: Served) -> tuple[list[Frame], str]:
    """Return a stream's frames with its fault, and how it ends: `end`, `cut` or `hang`."""
    frames = list(served.plan.frames or ())
    told = served.behaviour
    fault = told.fault
    if fault == "noend":
        return frames[: max(number for number, (_, tokens) in enumerate(frames) if tokens) + 1], "end"
    if fault == "nodone":
        return frames[:-1], "end"
    if fault == "slow":
        return [piece for frame in frames for piece in _halves(frame)], "end"
    if fault in {"cut", "hang", "error-in-stream"}:
        kept = _first(frames, told.at if told.at is not None else 1)
        if fault != "error-in-stream":
            return kept, fault
        body = msgspec.json.decode(
            error(529 if served.anthropic else 500, "The mock was told to fail.", anthropic=served.anthropic).body
        )
        return [*kept, ((event("error", body) if served.anthropic else data(body)), 0)], "end"
    spoilt = next((number for number, (_, tokens) in enumerate(frames) if tokens), 0)
    if fault == "malformed":
        text, tokens = frames[spoilt]
        frames[spoilt] = (text[: len(text) // 2] + b"\n\n", tokens)
    elif fault == "badutf8":
        text, tokens = frames[spoilt]
        frames[spoilt] = (_spoilt(text), tokens)
    return frames, "end"


def _first(frames: list[Frame], tokens: int) -> list[Frame]:
    """Return the frames up to and with the one that holds the given token; for 0 none that holds any."""
    kept: list[Frame] = []
    seen = 0
    for text, count in frames:
        if count and seen >= tokens:
            break
        seen += count
        kept.append((text, count))
    return kept


def _halves(frame: Frame) -> list[Frame]:
    text, tokens = frame
    middle = max(1, len(text) * 2 // 3)
    return [(text[:middle], 0), (text[middle:], tokens)]
