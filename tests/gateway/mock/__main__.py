"""The mock upstream as a process: `python -m tests.gateway.mock --port 9000`; its address is printed when it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

import uvloop

from .behaviour import FAULTS, WORDS
from .upstream import MockUpstream


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"A model's name says what it does: mock-tokens=64-pace=20. Words: {', '.join(WORDS)}. "
        f"Faults: any status 4xx or 5xx, {', '.join(FAULTS)}.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--prices", type=Path, help="JSON: model to nano-dollars of each unit")
    parser.add_argument("--sums-only", action="store_true", help="keep no line for each request: for benchmarks")
    arguments = parser.parse_args()
    prices = json.loads(arguments.prices.read_text()) if arguments.prices else None
    uvloop.run(serve(MockUpstream(prices, host=arguments.host, port=arguments.port, itemised=not arguments.sums_only)))


async def serve(mock: MockUpstream) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with mock:
        print(mock.url, flush=True)
        await ended.wait()


if __name__ == "__main__":
    main()
