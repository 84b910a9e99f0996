"""The benchmark beside prompt flow runs; its figures are reported there, not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_side_of_pilothouse_is_measured_without_prompt_flow() -> None:
    command = [sys.executable, "benchmarks/promptflow.py", "--rows", "3", "--calls", "1", "--times", "1", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert list(figures) == ["pilothouse"]
    assert all(value > 0 for value in figures["pilothouse"].values())
    assert figures["pilothouse"]["rows: processes"] == 1
