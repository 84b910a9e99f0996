"""What stands behind a door, said without any framework: the right it needs, what it takes, what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

from pilothouse.access.keys.types import Acting
from pilothouse.access.roles import Action
from pilothouse.core.services import Services

T = TypeVar("T")


class Asked(Struct, frozen=True, kw_only=True):
    """One request that may be answered: the right to it was looked at.

    Attributes:
        services: The project.
        acting: Who asks.
        role: What the asker may do.
        organisation: What the asker is confined to; empty for one who may see everything.
        path: The variable parts of the path.
        query: What stands behind the question mark, as the operation's ``query``.
        body: As the operation's ``body``.
        seen: The revision in `If-Match`; None where there is none.
    """

    services: Services
    acting: Acting
    role: str = ""
    organisation: str = ""
    path: dict[str, str] = {}
    query: Any = None
    body: Any = None
    seen: int | None = None


class Operation(Struct, frozen=True, kw_only=True):
    """One thing that can be asked of a room over HTTP.

    Attributes:
        method: HTTP method.
        path: Below `/api/v1`, with ``{name}`` for variable parts.
        action: The right it needs.
        summary: What it does, one line.
        run: Does it, on a thread; an ``async`` function is awaited instead.
        answer: Type of what ``run`` returns.
        body: Type of the body; None where it takes none.
        query: A struct whose fields are the parameters; None where there are none.
        status: HTTP status of the answer.
        revision: Reads the revision of an answer, which becomes its ETag; None where it has none.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    action: Action
    summary: str
    run: Callable[[Asked], Any]
    answer: Any
    body: Any = None
    query: type[Struct] | None = None
    status: int = 200
    revision: Callable[[Any], int] | None = None


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list.

    Attributes:
        items: In order.
        next: What to give as ``after`` for the next part; None at the end.
    """

    items: list[T]
    next: str | None = None
