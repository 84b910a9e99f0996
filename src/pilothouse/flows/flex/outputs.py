"""What an entry returned, as the outputs of a line: always a mapping."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from pilothouse.flows.nodes.python import read_out, read_out_async
from pilothouse.flows.nodes.work import Bare, Chunks, iterates, iterates_async
from pilothouse.flows.streaming.taps import read_async, tell_known

OUTPUT = "output"
_PLAIN = frozenset({str, int, float, bool, type(None)})


def streams(entry: Callable[..., Any]) -> bool:
    """Return whether an entry certainly gives its output piece by piece."""
    return inspect.isgeneratorfunction(entry) or inspect.isasyncgenfunction(entry)


def giving_outputs(entry: Callable[..., Any]) -> Callable[..., Any]:
    """Return the entry, sync where it is sync, that gives its outputs as a mapping.

    A generator is read to its end and joined to text, also inside of a mapping; a dataclass becomes a mapping of its
    fields; anything else but a mapping stands under ``output``.
    """
    if inspect.isasyncgenfunction(entry):

        async def gather(**inputs: Any) -> dict[str, Any]:
            return as_outputs(Chunks(await read_async(entry(**inputs), OUTPUT)))

        return gather
    if inspect.iscoroutinefunction(entry):

        async def wait(**inputs: Any) -> dict[str, Any]:
            value = await cast("Callable[..., Awaitable[Any]]", entry)(**inputs)
            if isinstance(value, dict):
                return as_outputs(await _read(cast("dict[Any, Any]", value)))
            return as_outputs(await read_out_async(value, OUTPUT))

        return wait

    def call(**inputs: Any) -> dict[str, Any]:
        value = entry(**inputs)
        return as_outputs(read_out(value) if inspect.iscoroutine(value) or iterates_async(value) else value)

    return call


async def _read(value: dict[Any, Any]) -> dict[Any, Any]:
    waiting = [key for key, item in value.items() if iterates(item) or iterates_async(item)]
    if waiting:
        tell_known({str(key): plain(item) for key, item in value.items() if key not in waiting})
    return {key: await read_out_async(item, str(key)) if key in waiting else item for key, item in value.items()}


def as_outputs(value: Any) -> dict[str, Any]:
    """Return the outputs that a returned value stands for; what streams is heard while it is read."""
    if type(value) in _PLAIN:
        return Bare({OUTPUT: value})
    if iterates(value):
        return Bare({OUTPUT: Chunks.of(value, OUTPUT).joined()})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if not isinstance(value, dict):
        return Bare({OUTPUT: plain(value)})
    returned = cast("dict[Any, Any]", value)
    waiting = [key for key, item in returned.items() if iterates(item)]
    found = {str(key): plain(item) for key, item in returned.items() if key not in waiting}
    if waiting:
        tell_known(found)
        found |= {str(key): Chunks.of(returned[key], str(key)).joined() for key in waiting}
    return {str(key): found[str(key)] for key in returned}


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
