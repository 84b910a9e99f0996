"""An upstream that stops inside a whole answer: the connection does not outlive the patience with it."""

from __future__ import annotations

import asyncio

import pytest

from pilothouse.gateway.providers.interface import Outgoing
from pilothouse.gateway.upstream.http import HttpTransport

HALF = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"half": '


def test_the_connection_of_an_answer_that_was_given_up_is_closed() -> None:
    async def inside() -> None:
        begun, closed = asyncio.Event(), asyncio.Event()

        async def stalls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(HALF)
            begun.set()
            while await reader.read(100):
                pass
            closed.set()
            writer.close()

        server = await asyncio.start_server(stalls, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        transport = HttpTransport()
        outgoing = Outgoing(method="POST", url=url, headers=(), body=b"{}")
        asking = asyncio.ensure_future(transport.open(outgoing, connect=5, whole=True, patience=0.2))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with asyncio.timeout(20):
            await closed.wait()
        await transport.aclose()
        server.close()

    asyncio.run(inside())
