"""Captured payloads: by policy, without secrets, dropped and counted under load, read back by id."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import NotFound
from pilothouse.gateway.capture.reading import expire, payloads, read_payload
from pilothouse.gateway.capture.writer import CaptureWriter
from pilothouse.gateway.settings import CaptureSettings


def same(text: str) -> str:
    return text


def record(writer: CaptureWriter, call: str, **changes: Any) -> bool:
    given: dict[str, Any] = {
        "wire": "openai.chat",
        "path": "/v1/chat/completions",
        "headers": {"content-type": "application/json"},
        "request": b'{"model":"m"}',
        "answer": b'{"id":"x"}',
    }
    return writer.record(call, 5, **{**given, **changes})


def test_what_was_recorded_is_read_back_by_the_calls_id(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path, CaptureSettings(mode="full"), same)
    for number in range(50):
        assert record(writer, f"call-{number}", request=f"request {number}".encode(), answer="grüße\x00".encode())
    assert writer.flush()
    found = read_payload(tmp_path, "call-1")
    assert (found.request, found.answer, found.mode, found.truncated) == ("request 1", "grüße\x00", "full", False)
    assert len(list(payloads(tmp_path))) == 50
    assert writer.counters.written == 50
    with pytest.raises(NotFound, match="nothing was recorded of call 'call-'"):
        read_payload(tmp_path, "call-")
    writer.close()


def test_secrets_in_headers_and_addresses_are_never_recorded(tmp_path: Path) -> None:
    writer = CaptureWriter(tmp_path, CaptureSettings(mode="full"), same)
    headers = dict.fromkeys(("Authorization", "x-api-key", "api-key", "cookie", "x-goog-api-key", "x-own"), "hush")
    record(writer, "a", headers={**headers, "User-Agent": "sdk"}, path="/v1beta/models/m:generate?key=hush")
    writer.close()
    assert read_payload(tmp_path, "a").headers == {"User-Agent": "sdk"}
    assert b"hush" not in b"".join(path.read_bytes() for path in (tmp_path / "incoming").iterdir())


def test_redaction_runs_before_a_text_is_cut(tmp_path: Path) -> None:
    writer = CaptureWriter(
        tmp_path,
        CaptureSettings(mode="redacted", most_bytes=12),
        lambda text: text.replace("4111111111111111", "[card]"),
    )
    record(writer, "a", request=b"pay 4111111111111111 now, please", answer="ü".encode() * 12)
    writer.close()
    found = read_payload(tmp_path, "a")
    assert found.request == "pay [card] n"
    assert found.answer == "ü" * 6
    assert (found.truncated, found.request_bytes) == (True, 32)


def test_nothing_is_written_of_what_redaction_fails_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(text: str) -> str:
        if "bad" in text:
            raise ValueError(text)
        return text

    writer = CaptureWriter(tmp_path, CaptureSettings(mode="redacted"), fail)
    for call, text in (("a", b"bad secret"), ("b", b"bad secret"), ("c", b"fine")):
        record(writer, call, request=text)
    writer.close()
    assert [payload.call for payload in payloads(tmp_path)] == ["c"]
    assert (writer.counters.failed, writer.counters.written) == (2, 1)
    told = capsys.readouterr().err
    assert told.count("redaction failed (ValueError)") == 1
    assert "secret" not in told


def test_the_sample_is_drawn_from_the_id(tmp_path: Path) -> None:
    half = CaptureSettings(mode="full", sample=0.5)
    one, other = (CaptureWriter(tmp_path / name, half, same) for name in ("a", "b"))
    chosen = [one.wanted(f"call-{number}") for number in range(4_000)]
    assert chosen == [other.wanted(f"call-{number}") for number in range(4_000)]
    assert 1_800 < sum(chosen) < 2_200
    assert not CaptureWriter(tmp_path, CaptureSettings(mode="off"), same).wanted("a")
    assert not CaptureWriter(tmp_path, CaptureSettings(mode="full", sample=0.0), same).wanted("a")
    assert all(CaptureWriter(tmp_path, CaptureSettings(mode="full"), same).wanted(str(n)) for n in range(100))


def test_under_load_payloads_are_dropped_and_counted(tmp_path: Path) -> None:
    go = threading.Event()

    def slow(text: str) -> str:
        assert go.wait(30)
        return text

    writer = CaptureWriter(tmp_path, CaptureSettings(mode="redacted"), slow, most_bytes=1_000)
    taken = sum(record(writer, str(number), request=b"x" * 90, answer=b"x" * 10) for number in range(100))
    go.set()
    assert writer.flush()
    counters = writer.counters
    assert 10 <= taken <= 11  # one may be in the thread's hands
    assert (counters.offered, counters.written, counters.dropped) == (100, taken, 100 - taken)
    writer.close()


def test_old_segments_go_and_held_ones_stay(tmp_path: Path) -> None:
    old, held = (CaptureWriter(tmp_path, CaptureSettings(mode="full"), same) for _ in range(2))
    record(old, "old")
    old.close()
    record(held, "held")
    assert held.flush()
    assert expire(tmp_path, 0) == 0
    assert expire(tmp_path, 2**63) == 1
    assert [payload.call for payload in payloads(tmp_path)] == ["held"]
    held.close()
