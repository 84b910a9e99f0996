"""A file that builds on others: mappings are merged, and every entry keeps the place where it was said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from pilothouse.core.errors import ConfigError
from pilothouse.core.yaml import Document, Key

EXTENDS = "extends"

Load = Callable[[Path], Document]
_Owners = dict[tuple[Key, ...], Document]


class Layers:
    """Files on top of each other, read as one.

    Mappings are merged; lists and single values of the upper file replace those of the lower. An upper ``null`` takes
    an entry away.

    Attributes:
        data: What they say together; whatever the file has, where it is no mapping.
        path: The topmost file.
    """

    def __init__(self, document: Document, data: Any, owners: _Owners) -> None:
        self.data = data
        self.path = document.path
        self._top = document
        self._owners = owners

    @classmethod
    def read(cls, path: Path, load: Load) -> Layers:
        """Read a file and those it extends.

        Raises:
            NotFound: when there is no such file.
            ConfigError: for bad syntax, a base that is not there, or files that extend each other in a circle.
        """
        top = load(path)
        merged: dict[Key, Any] = {}
        owners: _Owners = {}
        is_mapping = isinstance(top.data, dict)
        for document in reversed(_chain(top, load)) if is_mapping else ():
            own = cast("dict[Key, Any]", document.data)
            _merge(merged, {key: value for key, value in own.items() if key != EXTENDS}, (), document, owners)
        return cls(top, merged if is_mapping else top.data, owners)

    @classmethod
    def of(cls, document: Document) -> Layers:
        """Return a document that builds on nothing."""
        return cls(document, document.data, {})

    def where(self, *keys: Key) -> str:
        """Return ``file:line`` of the entry at ``keys``, in the file that says it."""
        return self._owner(keys).where(*keys)

    def folder(self, *keys: Key) -> Path:
        """Return the folder that a path at ``keys`` is relative to: that of the file which says it."""
        return self._owner(keys).path.parent

    def _owner(self, keys: tuple[Key, ...]) -> Document:
        for length in range(len(keys), 0, -1):
            owner = self._owners.get(keys[:length])
            if owner is not None:
                return owner
        return self._top


def _chain(top: Document, load: Load) -> list[Document]:
    """Return the file, the one it extends, the one which that extends, and so on."""
    chain = [top]
    while True:
        document = chain[-1]
        base: Any = cast("dict[Key, Any]", document.data).get(EXTENDS)
        if base is None:
            return chain
        where = document.where(EXTENDS)
        if not isinstance(base, str):
            raise ConfigError(f"extends is {base!r}", where=where, expected="the path of another experiment file")
        path = document.path.parent / base
        seen = [item.path.resolve() for item in chain]
        if path.resolve() in seen:
            circle = " -> ".join(item.name for item in (*seen[seen.index(path.resolve()) :], path.resolve()))
            raise ConfigError(f"the files extend each other in a circle: {circle}", where=where)
        if not path.is_file():
            raise ConfigError(f"there is no '{base}' in {document.path.parent}", where=where, expected="a YAML file")
        lower = load(path)
        if not isinstance(lower.data, dict):
            raise ConfigError("an experiment file is a mapping", where=lower.where())
        chain.append(lower)


def _merge(
    target: dict[Key, Any], own: dict[Key, Any], keys: tuple[Key, ...], document: Document, owners: _Owners
) -> None:
    for key, value in own.items():
        place = (*keys, key)
        before = target.get(key)
        if value is None and key in target:
            del target[key]
        elif isinstance(value, dict) and isinstance(before, dict):
            _merge(cast("dict[Key, Any]", before), cast("dict[Key, Any]", value), place, document, owners)
        else:
            for other in [item for item in owners if item[: len(place)] == place]:
                del owners[other]
            owners[place] = document
            target[key] = _copied(value)


def _copied(value: Any) -> Any:
    """Return a mapping whose entries may be merged into without changing what was read."""
    if not isinstance(value, dict):
        return value
    return {key: _copied(item) for key, item in cast("dict[Key, Any]", value).items()}
