"""`python -m tests.gateway.operations`: what operators do under load, in figures."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from ..limits.redis_server import RedisServer
from .scenarios import both, joining


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        for name, found in asyncio.run(both(Path(place))).items():
            sent = len(found.outcomes)
            print(f"{name}: {sent} calls, {len(found.answered)} answered, {len(found.lost)} broken off,")
            print(f"  {sum(one.turned_away for one in found.outcomes)} times turned away before an answer,")
            print(f"  {len(found.rows)} rows, the mock served {found.bill['served']}, ended with {found.code};")
            print(f"  seconds until in force: { {name: round(took, 2) for name, took in found.seconds.items()} }")
        server = RedisServer()
        try:
            (Path(place) / "joining").mkdir()
            took = asyncio.run(joining(Path(place) / "joining", server))
        finally:
            server.close()
        print(f"joining: {took:.2f} s from the start of Redis until calls are taken")


if __name__ == "__main__":
    main()
