"""The environment: the process's variables over the project's `.env`. No other file reads it, or writes it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pilothouse.core.errors import ConfigError

_REFERENCE = re.compile(r"\$\{env:(?P<name>[^}]+)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"(^|_)(KEY|SECRET|PASSWORD|TOKEN|CONNECTION_STRING)$", re.IGNORECASE)


class Environment(Mapping[str, str]):
    """Named values from outside: read once, never written."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    @classmethod
    def load(cls, root: Path) -> Environment:
        """Return the process's variables over those of ``root/.env``.

        Raises:
            ConfigError: for a line of `.env` that is not ``NAME=value``.
        """
        return cls({**read_dotenv(root / ".env"), **os.environ})

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Environment({len(self)} names)"

    def expand(self, text: str, where: str | None = None) -> str:
        """Return ``text`` with every ``${env:NAME}`` replaced by its value.

        Raises:
            ConfigError: when a name is not set.
        """

        def value(match: re.Match[str]) -> str:
            name = match["name"].strip()
            if name not in self._values:
                raise ConfigError(
                    f"the environment variable {name} is not set",
                    where=where,
                    fix=f"export {name}=... or write it into .env",
                )
            return self._values[name]

        return _REFERENCE.sub(value, text)


def names_a_secret(name: str) -> bool:
    """Tell by its name whether a variable holds a secret: `OPENAI_API_KEY` does, `MAX_TOKENS` does not."""
    return _SECRET.search(name) is not None


def export(values: Mapping[str, str]) -> None:
    """Set variables of this process, for the user's own code that reads them."""
    os.environ.update(values)


def prefer(name: str, value: str) -> None:
    """Set a variable of this process, and of those that it starts, where nobody has set it.

    For libraries that take a setting from there alone, when they are loaded.
    """
    os.environ.setdefault(name, value)


def environment_names(text: str) -> tuple[str, ...]:
    """Return the names that ``text`` refers to as ``${env:NAME}``."""
    return tuple(match["name"].strip() for match in _REFERENCE.finditer(text))


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the variables of a ``.env`` file; none where there is no file.

    Raises:
        ConfigError: for a line that is not ``NAME=value``.
    """
    if not path.is_file():
        return {}
    values: dict[str, str] = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise ConfigError(
                "this line is not NAME=value", where=f"{path}:{number}", expected="NAME=value or # a comment"
            )
        values[name.strip()] = _unquote(value.strip())
    return values


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.split(" #", 1)[0].rstrip()
