"""A model on this machine that takes its time: answers chat requests like OpenAI. Run with the seconds of an answer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def slow_endpoint(delay: float) -> Iterator[int]:
    """While inside, an endpoint in a process of its own answers after ``delay`` seconds; gives its port."""
    server = subprocess.Popen([sys.executable, __file__, str(delay)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


def serve(delay: float) -> None:
    """Answer chat requests, each after ``delay`` seconds; print the port."""
    from aiohttp import web

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(delay)
        message = {"role": "assistant", "content": "yes"}
        usage = {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        said = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        return web.json_response({**said, "choices": [choice], "usage": usage})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


if __name__ == "__main__":
    serve(float(sys.argv[1]))
