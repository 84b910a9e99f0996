"""The small form of the benchmark: many clients stream, no frame is lost, and a signal breaks nothing off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "serving.py"


def test_twenty_clients_lose_nothing() -> None:
    options = ["--clients", "20", "--minutes", "0.04", "--frames", "12", "--pause", "0.05", "--json"]
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["streams"]
    assert found["answers"] >= 20
    assert found["answers_not_whole"] == []
    assert found["frames_received"] == found["frames_sent_by_the_model"] == found["answers"] * 12
    assert (found["frames_lost"], found["frames_out_of_order"], found["exit_code"]) == (0, 0, 0)
    assert found["streams_in_flight_at_sigterm"] > 0
