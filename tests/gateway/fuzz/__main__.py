"""All fuzzing of a running gateway, by hand: `python -m tests.gateway.fuzz --minutes 10`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from .process import serving
from .running import Findings, documents, try_document, try_requests


def main() -> int:
    """Fuzz, and print what was tried and found; 1 where anything was."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    given = parser.parse_args()
    seconds = given.minutes * 60
    found = Findings()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), "gateway", "serve") as process:
        begun = process.rss
        for name in ("bodies", "heads"):
            try_requests(process, found, name, Random(given.seed), seconds * 0.3)
        try_document(process, found, "ingress", documents()["ingress"], seconds * 0.2)
        found.end(process, begun)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), "serve") as process:
        begun = process.rss
        try_document(process, found, "admin", documents()["admin"], seconds * 0.2)
        found.end(process, begun, asks=False)
    sys.stdout.write(f"seed {given.seed}\n{found}\n")
    return 1 if found.defects else 0


if __name__ == "__main__":
    sys.exit(main())
