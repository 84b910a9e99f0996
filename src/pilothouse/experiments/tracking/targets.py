"""Where experiments go, as people write it: ``mlflow:http://host:5000``, ``wandb:folder``."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError

MLFLOW, WANDB = "mlflow", "wandb"
_EXPECTED = "mlflow:http://host:5000 or wandb:FOLDER"
_URI = "MLFLOW_TRACKING_URI"


def split(target: str) -> tuple[str, str]:
    """Return the kind of a target and what follows it.

    Raises:
        ConfigError: for a kind that is not known.
    """
    kind, _, rest = target.partition(":")
    if kind not in (MLFLOW, WANDB):
        raise ConfigError(f"'{_shown(target)}' is no tracker", expected=_EXPECTED)
    return kind, rest


def address_of(target: str, environment: Environment) -> str:
    """Return the address of an MLflow server; ``mlflow:`` alone means that of MLFLOW_TRACKING_URI.

    Raises:
        ConfigError: when it is no address, or holds a password.
    """
    kind, address = split(target)
    address = (address or environment.get(_URI, "")).rstrip("/")
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address, parts = False, urlsplit("")
    if kind != MLFLOW or not is_address:
        raise ConfigError(
            f"'{_shown(target)}' is no address of an MLflow server",
            expected=f"mlflow:http://host:5000, or mlflow: with {_URI} set to such an address",
        )
    if parts.username or parts.password:
        raise ConfigError(
            "the address holds a user or a password, which would be shown and stored",
            where=f"{MLFLOW}:{parts.scheme}://...@{parts.hostname}",
            fix="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment or in .env",
        )
    return address


def folder_of(target: str, root: Path) -> Path:
    """Return the folder of a ``wandb:`` target.

    Raises:
        ConfigError: when none is named.
    """
    _, rest = split(target)
    if not rest or "://" in rest:
        raise ConfigError(f"'{_shown(target)}' names no folder", expected="wandb:FOLDER; `wandb sync` sends it")
    return root / rest


def _shown(target: str) -> str:
    """Return a target without what may be a password."""
    head, at, tail = target.rpartition("@")
    return f"{head.partition('://')[0]}://...@{tail}" if at else target
