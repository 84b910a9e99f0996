"""What a node does, in the one form that the scheduler runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, field

from pilothouse.core.environment import Environment
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.streaming.taps import read
from pilothouse.flows.types import Flow
from pilothouse.models.client import ModelClient
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection, Usage


class ModelLookup(Protocol):
    """Where nodes find their models; the models room's service is one."""

    def client(self, name: str) -> ModelClient:
        """Return the client of a connection."""
        ...

    def connection(self, name: str) -> Connection:
        """Return a connection, its references resolved."""
        ...

    def check(self, name: str, model: str) -> None:
        """Raise now what every call to a model would raise; an empty model is the connection's own."""
        ...

    def slots(self, name: str) -> int | None:
        """Return how many calls a connection serves at once; None where only the provider knows."""
        ...

    def open(self, connection: Connection) -> ModelClient:
        """Return a client of a connection that stands in no file."""
        ...

    @property
    def environment(self) -> Environment:
        """The variables that references to the environment are resolved with."""
        ...


class Mode(Enum):
    """Where a node runs."""

    THREAD = "thread"
    """A sync tool, which may block: in a thread."""
    INLINE = "inline"
    """Short work of our own, such as rendering a prompt: wherever the line is just now."""
    LOOP = "loop"
    """Async tools and model calls: on the event loop."""


class Answer(Struct, frozen=True, kw_only=True):
    """What a node on the loop gave."""

    output: Any
    usage: Usage | None = None
    provider: str | None = None
    model: str | None = None


class Chunks(tuple[Any, ...]):
    """The items of a generator: another node reads them one by one, an output joins them to text."""

    __slots__ = ()

    @classmethod
    def of(cls, items: Iterable[Any], output: str | None = None) -> Chunks:
        """Read a generator to its end; ``output`` is the output that it stands for, where a node gives several."""
        return cls(read(items, output))

    def joined(self) -> str:
        """Return the items as one text."""
        return "".join(map(str, self))


class Bare(dict[str, Any]):
    """Outputs of a flow that gave one value by itself, which stands under ``output``."""


class Work(Struct, frozen=True, kw_only=True):
    """A node ready to run.

    Attributes:
        mode: Where it runs.
        function: For ``THREAD`` and ``INLINE``: takes the inputs as keywords, returns the output.
        prepare: For ``LOOP``: turns the inputs into what is sent, without waiting.
        send: For ``LOOP``: sends it and waits.
        constants: Literal inputs in their types; those that are null or empty are left out.
        optional: Inputs that may be left out when the node they come from was bypassed.
        fingerprint: SHA-256 of all that decides the output besides the inputs; no secret is in it.
        runs_user_code: Whether what it raises is the user's.
        cacheable: Whether a node cache may answer in its place.
        slots: How many lines its model serves at once; None where nobody says.
        streams: Whether it is known to give its output piece by piece to whoever listens.
        stream_option: The parameter that asks it to.
    """

    mode: Mode
    function: Callable[..., Any] | None = None
    prepare: Callable[[dict[str, Any]], Any] | None = None
    send: Callable[[Any], Awaitable[Answer]] | None = None
    constants: dict[str, Any]
    optional: frozenset[str] = frozenset()
    fingerprint: str
    runs_user_code: bool = False
    cacheable: bool = False
    slots: int | None = None
    streams: bool = False
    stream_option: str | None = None


class NodeContext(Struct, frozen=True, kw_only=True):
    """What nodes are opened with.

    Attributes:
        flow: The flow, its variants chosen.
        folder: Its files, includes already in it.
        models: Where connections are found; None for flows that need none.
        settings: How flows are run.
        code: Digest of all Python files of the flow.
        environment: What references to the environment mean; only flex flows and prompties have some.
        secrets: Those of the connections that tools and classes were given so far; opening nodes adds to it.
    """

    flow: Flow
    folder: Path
    models: ModelLookup | None
    settings: FlowSettings
    code: str
    environment: Environment = Environment({})
    secrets: list[Secret] = field(default_factory=list[Secret])


def iterates(value: Any) -> bool:
    """Return whether an output is a generator or another one-way iterator, to be read to its end."""
    return isinstance(value, Iterator)


def iterates_async(value: Any) -> bool:
    """Return whether an output is an async generator, to be read to its end."""
    return isinstance(value, AsyncIterator)
