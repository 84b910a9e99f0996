"""Nouns of captured payloads."""

from __future__ import annotations

from msgspec import Struct


class Payload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request and its answer as the gateway saw them.

    Attributes:
        call: The call's id.
        at_ns: When the request had arrived.
        wire: The form of both.
        path: Of the request.
        headers: Of the request, lower case, without those that can hold a secret.
        request: The body, as text.
        answer: The body or the joined stream, as text.
        mode: Whether rules of redaction ran over the texts (``redacted``) or not (``full``).
        request_bytes: Length of the whole body of the request.
        answer_bytes: Length of the whole body of the answer.
        truncated: Whether bytes beyond the limit were left out of either.
    """

    call: str
    at_ns: int
    wire: str = ""
    path: str = ""
    headers: dict[str, str] = {}
    request: str = ""
    answer: str = ""
    mode: str
    request_bytes: int = 0
    answer_bytes: int = 0
    truncated: bool = False


class CaptureCounters(Struct, frozen=True, kw_only=True):
    """What became of payloads in this process.

    Attributes:
        offered: Chosen by the sample and handed over.
        written: On the disk.
        dropped: Left out because too many were waiting.
        failed: Left out because redaction failed on them.
        lost: Refused by the disk.
        waiting: In memory.
    """

    offered: int = 0
    written: int = 0
    dropped: int = 0
    failed: int = 0
    lost: int = 0
    waiting: int = 0
