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
    # The last is a difference of two small figures, which noise may turn around.
    assert all(value > 0 for name, value in figures["pilothouse"].items() if "left out" not in name)
    assert figures["pilothouse"]["rows: processes"] == 1
