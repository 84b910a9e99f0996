"""Whole messages over a socket, for both ends of it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import cast

_HEAD = struct.Struct(">Q")


class Channel(asyncio.Protocol):
    """One end. Messages are bytes of any length, each behind its length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._messages: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._has_ended = False

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        """Return the channel over a connected socket, which it owns from now on."""
        end.setblocking(False)
        _, channel = await asyncio.get_running_loop().connect_accepted_socket(cls, end)
        return channel

    def send(self, message: bytes) -> None:
        """Send a message; to an end that is gone it is not sent."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines((_HEAD.pack(len(message)), message))

    async def receive(self) -> bytes | None:
        """Return the next message; None when no more will come."""
        while not self._messages:
            if self._has_ended:
                return None
            self._news.clear()
            await self._news.wait()
        return self._messages.popleft()

    def end(self) -> None:
        """Let nothing more come."""
        self._has_ended = True
        self._news.set()
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Put messages together."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEAD.size:
            end = start + _HEAD.size + _HEAD.unpack_from(buffer, start)[0]
            if len(buffer) < end:
                break
            self._messages.append(bytes(buffer[start + _HEAD.size : end]))
            start = end
        if start:
            del buffer[:start]
            self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the other end is gone."""
        self._has_ended = True
        self._news.set()
