"""The load of the gateways' benchmark counts what it should: lost, repeated and misplaced frames, failures, rates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..gateway.mock.upstream import MockProcess

ROOT = Path(__file__).parents[2]


def load(url: str, model: str, **spec: Any) -> dict[str, Any]:
    """Run a load against the mock alone."""
    stream = spec.get("tokens", 0) > 0
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
    target = {
        "name": "mock",
        "port": int(url.rpartition(":")[2]),
        "path": "/v1/chat/completions",
        "body": json.dumps(body),
    }
    command = [sys.executable, "-m", "benchmarks.gateway.load"]
    written = json.dumps({"targets": [target], **spec})
    done = subprocess.run(command, cwd=ROOT, input=written, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def mock() -> Any:
    with MockProcess() as process:
        yield process


def test_whole_streams_are_clean(mock: MockProcess) -> None:
    found = load(mock.url, "mock-tokens=12-pace=5", mode="streams", connections=7, tokens=12, pace=1.0)
    assert (found["streams"], found["clean"], found["frames"], found["lost"]) == (7, 7, 84, 0)
    assert (found["repeated"], found["misplaced"], found["failed"]) == (0, 0, {})


def test_what_a_cut_stream_lacks_is_lost(mock: MockProcess) -> None:
    found = load(mock.url, "mock-tokens=12-fault=cut@5", mode="streams", connections=3, tokens=12, pace=1.0)
    assert (found["clean"], found["lost"], found["failed"]) == (0, 3 * 7, {"connection": 3})


@pytest.mark.parametrize("mode", [{"mode": "closed", "connections": 4}, {"mode": "open", "rate": 200.0}])
def test_every_answer_is_counted_and_every_failure(mock: MockProcess, mode: dict[str, Any]) -> None:
    mock.reset()
    found = load(mock.url, "mock-fault=429-times=3", seconds=0.3, **mode)
    assert found["failed"] == {"429": 3}
    assert found["ok"] == mock.bill()["served"] > 0


def test_rounds_are_interleaved(mock: MockProcess) -> None:
    found = load(mock.url, "mock", mode="interleaved", rounds=3, requests=5)
    assert found["mock"]["ok"] == 15
