"""Logged calls made again over HTTP."""

from __future__ import annotations

from typing import Final

from pilothouse.access.doors import Asked, Operation
from pilothouse.gateway.replay.service import ReplayService
from pilothouse.gateway.replay.types import Replay, ReplayRequest


async def replay_call(asked: Asked) -> Replay:
    """Make a call again; see `ReplayService.replay`."""
    wanted: ReplayRequest = asked.body
    return await asked.services.get(ReplayService).replay(wanted, actor=asked.acting.actor)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/gateway/replay",
        action="replay",
        summary="Make a logged call again under another version or through another route; costs money",
        run=replay_call,
        body=ReplayRequest,
        answer=Replay,
    ),
)
