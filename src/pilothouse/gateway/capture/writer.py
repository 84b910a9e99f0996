"""Payloads on their way to the disk: chosen by the call's id, redacted by a thread, dropped and counted under load."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from pilothouse.core.storage.batches import BatchOptions, BatchWriter
from pilothouse.core.storage.hooks import weakly
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.gateway.capture.sampling import is_recorded, threshold
from pilothouse.gateway.capture.types import CaptureCounters, Payload
from pilothouse.gateway.settings import CaptureSettings

FOLDER: Final = "capture"
"""The folder of payloads in the project's state."""

KEPT_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "anthropic-beta",
        "anthropic-version",
        "content-encoding",
        "content-length",
        "content-type",
        "openai-beta",
        "traceparent",
        "user-agent",
        "x-request-id",
    }
)
"""Headers that are recorded; any other one might hold a secret."""

_OPTIONS: Final = BatchOptions(what="payloads", interval=0.5, batch_lines=200, buffer_bytes=32 << 20)
_MOST_BYTES: Final = 64 << 20

_Raw = tuple[str, int, str, str, dict[str, str], bytes, bytes]


class CaptureWriter:
    """Writes payloads of this process to segments of its own.

    Taking one in costs little and never waits. Redaction and encoding happen in a thread; where that falls behind,
    payloads are dropped and counted. Nothing is written of a payload whose redaction fails.

    Args:
        folder: The folder of payloads.
        settings: What is recorded.
        redact: Returns a text without what must not be kept; runs in mode ``redacted``.
        most_bytes: Bytes of bodies that may wait.
        options: How lines are gathered and written.
    """

    def __init__(
        self,
        folder: Path,
        settings: CaptureSettings,
        redact: Callable[[str], str],
        *,
        most_bytes: int = _MOST_BYTES,
        options: BatchOptions = _OPTIONS,
    ) -> None:
        self._settings = settings
        self._redact = redact
        self._most_bytes = most_bytes
        self._share = threshold(settings)
        self._batches = BatchWriter(folder / INCOMING, options)
        self._encode = msgspec.json.Encoder().encode
        self._closed = False
        self._begin()
        os.register_at_fork(after_in_child=weakly(self._begin))
        atexit.register(weakly(self.close))

    def _begin(self) -> None:
        self._queue: deque[_Raw] = deque()
        self._waiting_bytes = 0
        self._offered = self._dropped = self._failed = 0
        self._warned = False
        self._guard = threading.Lock()
        self._working = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def counters(self) -> CaptureCounters:
        """What became of payloads so far."""
        return CaptureCounters(
            offered=self._offered,
            written=self._batches.written,
            dropped=self._dropped,
            failed=self._failed,
            lost=self._batches.lost,
            waiting=len(self._queue) + self._batches.waiting,
        )

    def wanted(self, call_id: str) -> bool:
        """Tell whether a call is recorded."""
        return is_recorded(call_id, self._share)

    def record(
        self,
        call_id: str,
        at_ns: int,
        *,
        wire: str,
        path: str,
        headers: Mapping[str, str],
        request: bytes,
        answer: bytes,
    ) -> bool:
        """Take a payload in, where the policy wants it; return whether it was taken.

        Args:
            call_id: The call.
            at_ns: When the request had arrived.
            wire: The form of both bodies.
            path: Of the request; what follows a question mark is left out.
            headers: Of the request; only `KEPT_HEADERS` are recorded.
            request: Its body.
            answer: The answer's body, or the joined stream.
        """
        if not self.wanted(call_id):
            return False
        self._offered += 1
        size = len(request) + len(answer)
        with self._guard:
            if self._waiting_bytes + size > self._most_bytes:
                self._dropped += 1
                return False
            self._waiting_bytes += size
            kept = {name: value for name, value in headers.items() if name.lower() in KEPT_HEADERS}
            self._queue.append((call_id, at_ns, wire, path.partition("?")[0], kept, request, answer))
        if self._thread is None or not self._thread.is_alive():
            self._start()
        self._wake.set()
        return True

    def flush(self) -> bool:
        """Write and sync every payload taken in; False when some were lost to the disk."""
        self._work()
        return self._batches.flush()

    def close(self) -> None:
        """Write what is left."""
        self._closed = True
        self._wake.set()
        self._work()
        self._batches.close()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="pilothouse-capture", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending, or the system allows no more threads
            self._thread = None
            self._work()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            self._work()

    def _work(self) -> None:
        with self._working:
            while True:
                with self._guard:
                    if not self._queue:
                        return
                    raw = self._queue.popleft()
                    self._waiting_bytes -= len(raw[5]) + len(raw[6])
                self._write(raw)

    def _write(self, raw: _Raw) -> None:
        call, at_ns, wire, path, headers, request, answer = raw
        most, redacted = self._settings.most_bytes, self._settings.mode == "redacted"
        try:
            payload = Payload(
                call=call,
                at_ns=at_ns,
                wire=wire,
                path=path,
                headers=headers,
                request=self._text(request, most, redacted=redacted),
                answer=self._text(answer, most, redacted=redacted),
                mode=self._settings.mode,
                request_bytes=len(request),
                answer_bytes=len(answer),
                truncated=max(len(request), len(answer)) > most,
            )
            line = self._encode(payload)
        except Exception as error:  # noqa: BLE001  rules are the user's: what they fail on is not written unredacted
            self._failed += 1
            if not self._warned:
                self._warned = True
                sys.stderr.write(
                    f"pilothouse: a payload was not recorded: its redaction failed ({type(error).__name__});"
                    " later ones are counted without a further word.\n"
                )
            return
        self._batches.put(line)

    def _text(self, body: bytes, most: int, *, redacted: bool) -> str:
        # Redacted before it is cut: half a secret is recognised by no rule.
        text = body.decode("utf-8", "replace")
        if redacted:
            text = self._redact(text)
        return text if len(text) <= most >> 2 else text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
