r"""One ended span -> one line of JSON: the canonical record that segments hold and every store reads.

The record keeps what the program gave, unchanged. Where JSON cannot hold a value, it is written as text (half of a
surrogate pair as ``\ud800``, NaN as ``nan``), never dropped.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast, get_args

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link

from pilothouse.tracing.conventions import CONTENT, CONTENT_EVENTS, NUMBERED_CONTENT, SHORTENED, WITHHELD
from pilothouse.tracing.types import SpanKind, SpanStatus

MAX_RECORD: Final = 8 << 20
"""Bytes of the longest record; content beyond it is cut, with its length told."""

KINDS: Final[tuple[SpanKind, ...]] = get_args(SpanKind)
"""In the order of OpenTelemetry's numbers, like ``STATUSES``."""

STATUSES: Final[tuple[SpanStatus, ...]] = get_args(SpanStatus)

_KEPT_OF_LONG: Final = 16_384
_MAX_NAME: Final = 4096
_SCOPES_KEPT: Final = 512
_EMPTY: Final = msgspec.Raw(b"{}")
_PLAIN: Final = frozenset({str, int, bool, bytes, type(None)})


class SpanRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One span as it is written; what is absent or empty is left out of the line.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_id: The parent's ``span_id``; None for the root of a trace.
        name: What the span is called.
        kind: One of ``KINDS``.
        start_ns: Nanoseconds since 1970, UTC, by the writer's clock.
        end_ns: The same; may lie before ``start_ns`` when the clock was set back.
        status: One of ``STATUSES``.
        status_message: Why it failed.
        attributes: As the program set them.
        events: ``{"name", "time_ns", "attributes"}`` each.
        links: ``{"trace_id", "span_id", "attributes"}`` each.
        resource: Attributes of the process.
        scope: ``{"name", "version"}`` of the library that made the span.
        dropped: Attributes, events and links that OpenTelemetry's limits cut off before the span reached us.
        writer: Id of the writer.
        seq: 1, 2, 3, ... for each writer; a gap is a span that was lost.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    status_message: str | None = None
    attributes: Any
    events: Any = ()
    links: Any = ()
    resource: msgspec.Raw = _EMPTY
    scope: msgspec.Raw = _EMPTY
    dropped: int = 0
    writer: str = ""
    seq: int = 0


class SpanEncoder:
    """Turns ended spans into lines.

    Args:
        capture_content: Whether prompts, answers, arguments and results go into the record.
        max_record: Bytes of the longest record.
    """

    def __init__(self, *, capture_content: bool = True, max_record: int = MAX_RECORD) -> None:
        self._capture_content = capture_content
        self._max_record = max_record
        self._encode = msgspec.json.Encoder().encode
        self._resource: Resource | None = None
        self._resource_json = _EMPTY
        self._scopes: dict[int, tuple[InstrumentationScope | None, msgspec.Raw]] = {}

    def forget_process(self) -> None:
        """Describe the process anew: this is a forked child."""
        self._resource = None

    def encode(self, span: ReadableSpan, writer: str, seq: int) -> bytes:
        """Return the line of ``span``, without a line end."""
        return self._line(self._record(span, writer, seq))

    def complete(
        self, record: SpanRecord, resource: Resource, scope: InstrumentationScope, writer: str, seq: int
    ) -> bytes:
        """Return the line of a record that lacks what these tell; it is filled in."""
        record.resource, record.scope = self._of_process(resource), self._of_scope(scope)
        record.writer, record.seq = writer, seq
        return self._line(record)

    def _line(self, record: SpanRecord) -> bytes:
        if not self._capture_content:
            _withhold(record)
        try:
            line = self._encode(record)
        except UnicodeEncodeError:
            line = self._encode(_mended(record))
        else:
            # msgspec writes NaN and infinity as null, so a line without null had none.
            if b"null" in line and _hold_lost_number((record.attributes, record.events, record.links)):
                line = self._encode(_mended(record))
        return line if len(line) <= self._max_record else self._shortened(record)

    def _record(self, span: ReadableSpan, writer: str, seq: int) -> SpanRecord:
        context = span.context
        assert context is not None  # every span of the SDK has one
        parent = span.parent
        status = span.status
        events = span.events
        links = span.links
        return SpanRecord(
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
            parent_id=None if parent is None else f"{parent.span_id:016x}",
            name=span.name,
            kind=KINDS[span.kind.value],
            start_ns=span.start_time or 0,
            end_ns=span.end_time or span.start_time or 0,
            status=STATUSES[status.status_code.value],
            status_message=status.description,
            # mappingproxy.copy is BoundedAttributes.copy: one dict copy in C instead of a Python loop
            attributes=cast("Any", span.attributes).copy(),
            events=[_event(event) for event in events] if events else (),
            links=[_link(link) for link in links] if links else (),
            resource=self._of_process(span.resource),
            scope=self._of_scope(span.instrumentation_scope),
            dropped=span.dropped_attributes + span.dropped_events + span.dropped_links,
            writer=writer,
            seq=seq,
        )

    def _of_process(self, resource: Resource) -> msgspec.Raw:
        if resource is not self._resource:
            # The provider's resource keeps the parent's process id in a forked child.
            self._resource_json = self._raw({**resource.attributes, "process.pid": os.getpid()})
            self._resource = resource
        return self._resource_json

    def _of_scope(self, scope: InstrumentationScope | None) -> msgspec.Raw:
        known = self._scopes.get(id(scope))
        if known is not None:
            return known[1]
        if len(self._scopes) >= _SCOPES_KEPT:
            self._scopes.clear()
        content = {} if scope is None else {"name": scope.name, "version": scope.version or ""}
        raw = self._raw(content)
        self._scopes[id(scope)] = (scope, raw)  # the reference keeps the id from being used again
        return raw

    def _raw(self, value: Mapping[str, Any]) -> msgspec.Raw:
        return msgspec.Raw(self._encode(_mend(value)))

    def _shortened(self, record: SpanRecord) -> bytes:
        """Return the line with long texts cut; events, then attributes, go as well where that is not enough."""
        cut: list[str] = []
        record.attributes = {key: _cut(key, value, cut) for key, value in record.attributes.items()}
        record.attributes[SHORTENED] = cut
        record.name = record.name[:_MAX_NAME]
        record.status_message = record.status_message and record.status_message[:_KEPT_OF_LONG]
        line = self._encode(_mended(record))
        if len(line) > self._max_record:
            record.dropped += len(record.events) + len(record.links)
            record.events, record.links = (), ()
            line = self._encode(_mended(record))
        if len(line) > self._max_record:
            record.dropped += len(record.attributes) - 1
            record.attributes = {SHORTENED: ["*"]}
            line = self._encode(_mended(record))
        return line


def _event(event: Event) -> dict[str, Any]:
    return {"name": event.name, "time_ns": event.timestamp, "attributes": dict(event.attributes or {})}


def _link(link: Link) -> dict[str, Any]:
    context = link.context
    return {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "attributes": dict(link.attributes or {}),
    }


def _withhold(record: SpanRecord) -> None:
    withheld = [key for key in record.attributes if key in CONTENT or NUMBERED_CONTENT.match(key)]
    for key in withheld:
        del record.attributes[key]
    for event in record.events:
        if event["name"] in CONTENT_EVENTS and event["attributes"]:
            withheld.append(event["name"])
            event["attributes"] = {}
    if withheld:
        record.attributes[WITHHELD] = withheld


def _hold_lost_number(values: Iterable[Any]) -> bool:
    """Tell whether NaN or an infinity stands among the values, at any depth."""
    for value in values:
        if type(value) in _PLAIN:
            continue
        if isinstance(value, float):
            if not math.isfinite(value):
                return True
        elif isinstance(value, Mapping):
            if _hold_lost_number(cast("Mapping[str, Any]", value).values()):
                return True
        elif isinstance(value, Sequence) and value and _hold_lost_number(cast("Sequence[Any]", value)):
            return True
    return False


def _mended(record: SpanRecord) -> SpanRecord:
    return msgspec.structs.replace(
        record,
        name=_mend(record.name),
        status_message=_mend(record.status_message),
        attributes=_mend(record.attributes),
        events=_mend(record.events),
        links=_mend(record.links),
    )


def _mend(value: Any) -> Any:
    """Return ``value`` with everything that JSON cannot hold written as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {_mend(str(key)): _mend(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_mend(item) for item in cast("Sequence[Any]", value)]
    return value


def _cut(key: str, value: Any, cut: list[str]) -> Any:
    text = value if isinstance(value, str) else msgspec.json.encode(_mend(value)).decode()
    if len(text) <= _KEPT_OF_LONG:
        return value
    cut.append(key)
    return f"{text[:_KEPT_OF_LONG]}… [{len(text)} characters]"
