"""Fuzzing guided by coverage, by hand: `python -m tests.gateway.fuzz.guided TARGET SECONDS`, where atheris is installed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pilothouse.gateway", "pilothouse.models.providers"]):
    from .targets import TARGETS

CORPUS = Path(__file__).parents[1] / "dialects" / "corpus"
SEEDS = {"requests": "request.json", "answers": "answer.json", "streams": "stream.sse"}


def main(name: str, seconds: str) -> None:
    """Run one target."""
    with tempfile.TemporaryDirectory() as folder:
        for path in CORPUS.glob(f"*/{SEEDS.get(name, 'answer.json')}"):
            (Path(folder) / path.parent.name).write_bytes(path.read_bytes())
        options = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=1"]
        atheris.Setup([sys.argv[0], *options, folder], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
