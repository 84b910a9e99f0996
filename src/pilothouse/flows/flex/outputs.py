"""What an entry returned, as the outputs of a line: always a mapping."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from pilothouse.flows.nodes.python import read_out
from pilothouse.flows.nodes.work import Chunks, iterates

OUTPUT = "output"
_PLAIN = frozenset({str, int, float, bool, type(None)})


def giving_outputs(entry: Callable[..., Any]) -> Callable[..., Any]:
    """Return the entry, sync where it is sync, that gives its outputs as a mapping.

    A generator is read to its end and joined to text, also inside of a mapping; a dataclass becomes a mapping of its
    fields; anything else but a mapping stands under ``output``.
    """
    if inspect.isasyncgenfunction(entry):

        async def gather(**inputs: Any) -> dict[str, Any]:
            return as_outputs(Chunks([item async for item in entry(**inputs)]))

        return gather
    if inspect.iscoroutinefunction(entry):

        async def wait(**inputs: Any) -> dict[str, Any]:
            return as_outputs(await _read(await cast("Callable[..., Awaitable[Any]]", entry)(**inputs)))

        return wait

    def call(**inputs: Any) -> dict[str, Any]:
        value = entry(**inputs)
        return as_outputs(read_out(value) if inspect.iscoroutine(value) else value)

    return call


async def _read(value: Any) -> Any:
    if isinstance(value, AsyncIterator):
        return Chunks([item async for item in cast("AsyncIterator[Any]", value)])
    if isinstance(value, dict):
        return {key: await _read(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def as_outputs(value: Any) -> dict[str, Any]:
    """Return the outputs that a returned value stands for."""
    if type(value) in _PLAIN:
        return {OUTPUT: value}
    made = plain(value)
    if not isinstance(made, dict):
        return {OUTPUT: made}
    return {str(key): item for key, item in cast("dict[Any, Any]", made).items()}


def plain(value: Any) -> Any:
    """Return ``value`` with dataclasses inside it as mappings, and generators as text."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Chunks):
        return value.joined()
    if iterates(value):
        return Chunks.of(value).joined()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    return value


class Attributes(dict[str, Any]):
    """Outputs of a line whose items can be read as attributes too, at any depth."""

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError as error:
            raise AttributeError(name) from error
        return Attributes(cast("dict[str, Any]", value)) if type(value) is dict else value
