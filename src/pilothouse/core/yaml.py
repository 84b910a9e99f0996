"""YAML 1.2 core schema with line numbers: `yes` and `on` are strings, a key stands once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from pilothouse.core.errors import ConfigError, NotFound

Key = str | int

FEWEST = 10_000
"""Entries that any file may have, however short its text."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_EXPECTED = "key: value, indented by blanks, every bracket and quote closed"


class _Loader(_Base):
    """A safe loader whose plain scalars follow YAML 1.2 (yaml.org/spec/1.2.2, section 10.3)."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _construct_int(_loader: Any, node: Any) -> int:
    text: str = node.value
    return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


class Document:
    """Parsed YAML and the line of every key and item.

    Attributes:
        data: Dicts, lists, strings, numbers, booleans and None.
        path: The file it came from.
    """

    def __init__(self, data: Any, path: Path, lines: dict[tuple[Key, ...], int]) -> None:
        self.data = data
        self.path = path
        self._lines = lines

    def line(self, *keys: Key) -> int | None:
        """Return the 1-based line of the entry at ``keys``, or of its nearest ancestor."""
        for length in range(len(keys), -1, -1):
            line = self._lines.get(tuple(keys[:length]))
            if line is not None:
                return line
        return None

    def where(self, *keys: Key) -> str:
        """Return ``file:line`` of the entry at ``keys``."""
        line = self.line(*keys)
        return f"{self.path}:{line}" if line is not None else str(self.path)


def load_yaml(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        NotFound: when there is no such file.
        ConfigError: for bad syntax, bad UTF-8 or a key that stands twice, with file and line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound("there is no such file", where=str(path), expected="a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> Document:
    """Parse YAML text that came from ``path``.

    Raises:
        ConfigError: for bad syntax or a key that stands twice, with file and line.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[tuple[Key, ...], int] = {}
        data = _Builder(loader, path, lines, most=max(FEWEST, len(text))).build(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"this is not YAML: {error.problem}", where=where, expected=_EXPECTED) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"this is not YAML: {error}", where=str(path), expected=_EXPECTED) from error
    finally:
        loader.dispose()
    return Document(data, path, lines)


class _Builder:
    """Makes plain values of nodes and notes where each stands."""

    def __init__(self, loader: Any, path: Path, lines: dict[tuple[Key, ...], int], *, most: int) -> None:
        self._loader = loader
        self._path = path
        self._lines = lines
        self._left = most

    def build(self, node: Any, keys: tuple[Key, ...]) -> Any:
        self._lines.setdefault(keys, node.start_mark.line + 1)
        self._left -= 1
        # Every entry takes a letter to write: more entries than letters come from aliases of aliases.
        if self._left < 0:
            raise ConfigError(
                "its aliases stand for too many entries", where=f"{self._path}:{node.start_mark.line + 1}"
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*keys, index)) for index, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: Any, keys: tuple[Key, ...]) -> Any:
        merged: dict[Any, Any] = {}
        own: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.value == "<<" and isinstance(key_node, yaml.ScalarNode):
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in reversed(sources):
                    merged.update(self.build(source, (*keys, "<<")))
                continue
            key = self._loader.construct_object(key_node, deep=True)
            if not isinstance(key, str | int):
                raise ConfigError("a key must be a word or a whole number", where=f"{self._path}:{line}")
            if key in own:
                raise ConfigError(
                    f"the key '{key}' stands twice (first at line {self._lines[(*keys, key)]})",
                    where=f"{self._path}:{line}",
                    fix="keep one of the two",
                )
            self._lines[(*keys, key)] = line
            own[key] = self.build(value_node, (*keys, key))
        return {**merged, **own}
