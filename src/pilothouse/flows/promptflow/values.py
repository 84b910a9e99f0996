"""Texts and definitions that prompt flow has types of their own for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Secret(str):
    """Says of a parameter, or of a field of a strong-type connection, that it is secret."""

    __slots__ = ("secret_name",)

    def set_secret_name(self, name: str) -> None:
        """Remember the name under which the secret is kept."""
        self.secret_name = name


class PromptTemplate(str):
    """Says of a parameter that it takes the text of a template."""

    __slots__ = ()


class FilePath(str):
    """Says of a parameter that it takes the path of a file."""

    __slots__ = ()


@dataclass
class AssistantDefinition:
    """An assistant: its model, its instructions and the declarations of its tools."""

    model: str
    instructions: str
    tools: list[Any] = field(default_factory=list[Any])

    @staticmethod
    def deserialize(data: dict[str, Any]) -> AssistantDefinition:
        """Return the assistant that a mapping describes; what is missing is empty."""
        return AssistantDefinition(data.get("model", ""), data.get("instructions", ""), data.get("tools", []))

    def serialize(self) -> dict[str, Any]:
        """Return it as a mapping."""
        return asdict(self)


class AttrDict(dict[str, Any]):
    """A dict whose items can be read and set as attributes."""

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError as error:
            raise AttributeError(key) from error

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value


class RunStatus:
    """How far a run is."""

    NOT_STARTED = "NotStarted"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"


class ListViewType(StrEnum):
    """Which runs a list shows."""

    ACTIVE_ONLY = "ActiveOnly"
    ARCHIVED_ONLY = "ArchivedOnly"
    ALL = "All"
