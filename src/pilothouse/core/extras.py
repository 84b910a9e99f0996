"""Packages that come with an extra: imported when they are needed, and missed in words."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pilothouse.core.errors import ConfigError


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Return a module of an optional package.

    Raises:
        ConfigError: when the package is not installed, with the extra that brings it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{purpose} needs the package {module.partition('.')[0]}, which is not installed",
            fix=f'pip install "pilothouse[{extra}]"',
        ) from error
