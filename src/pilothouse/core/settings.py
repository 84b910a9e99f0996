"""Settings: `pilothouse.yaml`, then `PILOTHOUSE_<SECTION>__<KEY>` from the environment on top.

Each room declares its own section as a frozen struct in its `settings.py` and enters it under its name in
the entry-point group `pilothouse.settings`; this file knows no section by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from pilothouse.core import plugins
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.core.structs import convert
from pilothouse.core.yaml import Document, load_yaml, parse_yaml

FILE = "pilothouse.yaml"
PREFIX = "PILOTHOUSE_"

S = TypeVar("S", bound=msgspec.Struct)


class Settings:
    """The checked settings of one project.

    Attributes:
        root: The project's folder.
        environment: The environment that references are resolved against.
    """

    def __init__(self, root: Path, environment: Environment, sections: dict[str, msgspec.Struct]) -> None:
        self.root = root
        self.environment = environment
        self._sections = {type(section): section for section in sections.values()}

    @classmethod
    def load(cls, root: Path, environment: Environment) -> Settings:
        """Read and check every section.

        Raises:
            ConfigError: for an unknown section or key (naming the nearest), or a value of the wrong type.
        """
        path = root / FILE
        document = load_yaml(path) if path.is_file() else Document({}, path, {})
        given = _mapping(document.data, document.where())
        kinds: dict[str, type[msgspec.Struct]] = plugins.load_all("settings")
        for name in given:
            if name not in kinds:
                raise ConfigError(
                    f"unknown section '{name}'", where=document.where(name), expected=nearest_hint(str(name), kinds)
                )
        overrides = _overrides(environment, kinds)
        sections: dict[str, msgspec.Struct] = {}
        for name, kind in kinds.items():
            values: dict[str, Any] = {**_mapping(given.get(name), document.where(name)), **overrides.get(name, {})}

            def where(*keys: str | int, section: str = name) -> str:
                if keys and keys[0] in overrides.get(section, {}):
                    return f"{PREFIX}{section}__{keys[0]}".upper()
                return document.where(section, *keys)

            sections[name] = convert(values, kind, where=where)
        return cls(root, environment, sections)

    def section(self, kind: type[S]) -> S:
        """Return the section of type ``kind``, with its defaults where nothing was set."""
        section = self._sections.get(kind)
        return section if isinstance(section, kind) else kind()


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError("a mapping must stand here", where=where, expected="key: value")
    return {str(key): item for key, item in cast("dict[object, Any]", value).items()}


def _overrides(environment: Environment, kinds: dict[str, type[msgspec.Struct]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, text in environment.items():
        section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if name.startswith(PREFIX) and separator and section in kinds:
            found.setdefault(section, {})[key] = parse_yaml(text, Path(name)).data
    return found
