"""What an operator is told when `pilothouse.yaml` was taken in."""

from __future__ import annotations

from pilothouse.gateway.config.documents import PARTS
from pilothouse.gateway.config.types import ActiveConfig
from pilothouse.gateway.settings import GatewaySettings

_MOST = 10


def replaced(config: ActiveConfig) -> list[str]:
    """Return which changes made while serving a new file put out of force."""
    changes = config.replaced
    if not changes:
        return []
    lines = [f"pilothouse.yaml is new; {len(changes)} changes made while serving are gone:"]
    lines += [
        f"  {change.path}: {_value(change.before)} had become {_value(change.after)}" for change in changes[:_MOST]
    ]
    return lines + ([f"  ... and {len(changes) - _MOST} more"] if len(changes) > _MOST else [])


def taken_in(config: ActiveConfig, before: GatewaySettings, now: GatewaySettings) -> list[str]:
    """Return what became of the file at a reload.

    Args:
        config: What is in force now.
        before: The section of the file that the process began with.
        now: The section of the file that was just read.
    """
    number = config.version.number
    if config.source == "new":
        lines = [f"pilothouse.yaml was taken in: version {number} of the configuration is in force"]
    else:
        lines = [f"pilothouse.yaml says what it said before: version {number} of the configuration stays in force"]
    own = (name for name in GatewaySettings.__struct_fields__ if name not in PARTS)
    later = [name for name in own if getattr(before, name) != getattr(now, name)]
    if later:
        lines.append(f"these wait for a restart: {', '.join(f'gateway.{name}' for name in later)}")
    return lines + replaced(config)


def _value(value: object) -> str:
    return "its default" if value is None else repr(value)
