"""Every way to a deployment, chosen by the scheme of its address."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.gateway.providers.interface import Outgoing
from pilothouse.gateway.upstream.types import Answer, Transport


class Ways:
    """Sends each request the way its address names; what is not named goes by the first.

    Args:
        default: For addresses of the network.
        others: By scheme.
    """

    def __init__(self, default: Transport, others: Mapping[str, Transport]) -> None:
        self._default = default
        self._others = others

    async def open(self, outgoing: Outgoing, *, connect: float, whole: bool, patience: float | None = None) -> Answer:
        """Send a request and return when the answer's head has come; see ``Transport``.

        Raises:
            UpstreamFault: when no answer comes.
        """
        way = self._others.get(outgoing.url.partition("://")[0], self._default)
        return await way.open(outgoing, connect=connect, whole=whole, patience=patience)

    async def aclose(self) -> None:
        """Close every way."""
        for way in (self._default, *self._others.values()):
            await way.aclose()
