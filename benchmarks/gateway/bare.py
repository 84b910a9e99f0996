"""The parts of Pilothouse's gateway with nothing between them: uvicorn, and pyreqwest, handing chats on.

    python -m benchmarks.gateway.bare PORT UPSTREAM

What this costs no gateway of these parts can save; it knows no keys, routes, limits, ledger, spans or failures.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from pyreqwest.client import Client, ClientBuilder

HEADERS = [(b"content-type", b"application/json")]
STREAMS = [(b"content-type", b"text/event-stream")]


class Bare:
    """An ASGI application: every request goes to one address, and its answer comes back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a request on."""
        if self._client is None:
            # On the loop that it works for.
            self._client = ClientBuilder().http1_only().tcp_nodelay(True).build()
        body, is_whole = b"", False
        while not is_whole:
            message = await receive()
            body += message["body"]
            is_whole = not message.get("more_body", False)
        request = self._client.post(self._url).body_bytes(body).header("content-type", "application/json")
        if b'"stream":true' not in body:
            answer = bytes(await (await request.build().send()).bytes())
            length = (b"content-length", str(len(answer)).encode())
            await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
            await send({"type": "http.response.body", "body": answer})
            return
        async with request.streamed_read_buffer_limit(0).build_streamed() as streamed:
            await send({"type": "http.response.start", "status": 200, "headers": STREAMS})
            while (piece := await streamed.body_reader.read_chunk()) is not None:
                await send({"type": "http.response.body", "body": bytes(piece), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        Bare(f"{sys.argv[2]}/v1/chat/completions"),
        port=int(sys.argv[1]), lifespan="off", access_log=False, log_level="error", loop="uvloop", http="httptools",
    )  # fmt: skip
