"""`promptflow.entities.Run`, and what the client knows of runs before it asks the room that keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol, cast

from msgspec import Struct

from pilothouse.core.errors import UserError
from pilothouse.core.yaml import load_yaml
from pilothouse.flows.client.errors import as_promptflow
from pilothouse.flows.types import Flow

STATUSES: Final = {
    "created": "NotStarted",
    "running": "Running",
    "completed": "Completed",
    "completed_with_errors": "CompletedWithErrors",
    "failed": "Failed",
    "cancelled": "Canceled",
    "interrupted": "Interrupted",
}
"""Our states of a run -> prompt flow's word; it has none for a run with failed rows, and none for a killed one."""


class RunRequest(Struct, frozen=True, kw_only=True):
    """A run that is asked for.

    Attributes:
        flow: Its path, or ``module:name``.
        live: The flow itself, where it lives in this process or is read from another folder.
        data: A file or folder.
        run: Name of the run that is judged.
        column_mapping: Flow input -> ``${data.x}``, ``${run.outputs.y}`` or a literal.
        variant: ``${node.variant}``.
        connections: Node -> {``connection``, or an input: value}.
        environment_variables: Set for the flow's code.
        init: Arguments of the class of a flex flow.
        name: A unique name; made when absent.
        display_name: A name for people.
        description: Free text.
        tags: Free pairs.
        resume_from: Name of a run whose completed rows are kept; then the choices are that run's.
    """

    flow: str = ""
    live: Flow | None = None
    data: str | None = None
    run: str | None = None
    column_mapping: dict[str, Any] = {}
    variant: str | None = None
    connections: dict[str, dict[str, Any]] = {}
    environment_variables: dict[str, str] = {}
    init: dict[str, Any] = {}
    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    tags: dict[str, str] = {}
    resume_from: str | None = None


class RunRecord(Struct, frozen=True, kw_only=True):
    """A run as it is recorded.

    Attributes:
        request: What was asked.
        name: Its name.
        status: One of the keys of `STATUSES`.
        error: Why it, or its aggregation, failed; the first failed row where only rows failed.
        created_at: When it was recorded.
        ended_at: When its last attempt ended.
        duration: Seconds of all attempts.
        output_path: Where its rows are kept.
        metrics: What aggregation logged.
        properties: Counts, tokens and cost.
        notes: What is worth knowing.
    """

    request: RunRequest
    name: str
    status: str
    error: str | None = None
    created_at: datetime
    ended_at: datetime | None = None
    duration: float = 0.0
    output_path: Path
    metrics: dict[str, float] = {}
    properties: dict[str, Any] = {}
    notes: tuple[str, ...] = ()


class RunLine(Struct, frozen=True, kw_only=True):
    """One row of a run; its outputs are empty unless it was completed."""

    number: int
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    is_completed: bool
    error: str | None = None


class RunKeeper(Protocol):
    """The room that runs flows over rows and keeps what came of it."""

    async def create(self, request: RunRequest) -> RunRecord:
        """Run a flow over rows."""
        ...

    def get(self, name: str) -> RunRecord:
        """Return a run."""
        ...

    def list(self, limit: int | None, *, archived: bool | None) -> list[RunRecord]:
        """Return runs, the latest first: only archived ones, only the others, or both (None)."""
        ...

    def lines(self, name: str) -> Iterator[RunLine]:
        """Return the rows of a run in the order of its data."""
        ...

    def update(
        self, name: str, display_name: str | None, description: str | None, tags: Mapping[str, str] | None
    ) -> RunRecord:
        """Change what a run is called."""
        ...

    def archive(self, name: str, *, archived: bool) -> RunRecord:
        """Leave a run out of lists, or take it back into them."""
        ...

    def cancel(self, name: str) -> RunRecord:
        """Ask the process that works on a run to stop."""
        ...

    def page(self, names: Sequence[str]) -> bytes:
        """Return one HTML page of some runs."""
        ...

    def delete(self, name: str) -> None:
        """Forget a run and its rows."""
        ...

    def export(self, name: str, folder: Path) -> tuple[Path, ...]:
        """Write a run's rows into a folder as prompt flow does."""
        ...


_KEYS: Final = ("flow", "data", "run", "column_mapping", "variant", "connections", "environment_variables", "init",
                "name", "display_name", "description", "tags", "code")  # fmt: skip
_ASIDE: Final = ("$schema", "properties", "resources", "identity", "runtime", "type", "command")
_PATHS: Final = ("flow", "data")


class Run:
    """A run that is asked for, or one that was recorded.

    Attributes:
        name: Its name.
        status: ``NotStarted``, ``Running``, ``Completed``, ``CompletedWithErrors`` (some rows failed), ``Failed``,
            ``Canceled`` or ``Interrupted``.
        record: What was recorded; None before it is created.
    """

    def __init__(self, flow: Any = None, name: str | None = None, **asked: Any) -> None:
        with as_promptflow():
            for key in asked:
                if key not in (*_KEYS, *_ASIDE):
                    raise UserError(f"a run has no '{key}'", expected=", ".join(_KEYS))
        self.flow: Any = flow
        self.name: str = name or ""
        self.data: Any = asked.get("data")
        self.run: Any = asked.get("run")
        self.column_mapping: dict[str, Any] = dict(asked.get("column_mapping") or {})
        self.variant: str | None = asked.get("variant")
        self.connections: dict[str, Any] = dict(asked.get("connections") or {})
        self.environment_variables: dict[str, str] = dict(asked.get("environment_variables") or {})
        self.init: dict[str, Any] = dict(asked.get("init") or {})
        self.display_name: str | None = asked.get("display_name")
        self.description: str | None = asked.get("description")
        self.tags: dict[str, str] = dict(asked.get("tags") or {})
        self.code: Any = asked.get("code")
        self.record: RunRecord | None = None

    @classmethod
    def of(cls, record: RunRecord) -> Run:
        """Return a recorded run."""
        asked = record.request
        made = cls(
            asked.flow,
            record.name,
            data=asked.data,
            run=asked.run,
            column_mapping=asked.column_mapping,
            variant=asked.variant,
            connections=asked.connections,
            environment_variables=asked.environment_variables,
            init=asked.init,
            display_name=asked.display_name or record.name,
            description=asked.description,
            tags=asked.tags,
        )
        made.record = record
        return made

    @property
    def status(self) -> str:
        """How far it is, in prompt flow's words where it has one."""
        return STATUSES[self.record.status if self.record is not None else "created"]

    @property
    def created_on(self) -> str | None:
        """When it was recorded, as ISO text."""
        return self.record.created_at.isoformat() if self.record is not None else None

    @property
    def end_time(self) -> datetime | None:
        """When its last attempt ended."""
        return self.record.ended_at if self.record is not None else None

    @property
    def metrics(self) -> dict[str, float]:
        """What its aggregation logged."""
        return dict(self.record.metrics) if self.record is not None else {}

    @property
    def properties(self) -> dict[str, Any]:
        """Its flow, where its rows are kept, counts of rows, tokens and cost."""
        if self.record is None:
            return {"flow_path": str(self.flow)}
        return {
            "flow_path": str(self.flow),
            "output_path": str(self.record.output_path),
            **({"run": self.run} if self.run else {}),
            **self.record.properties,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of it as a mapping."""
        return {
            "name": self.name,
            "status": self.status,
            "created_on": self.created_on,
            "display_name": self.display_name,
            "description": self.description,
            "tags": self.tags,
            "properties": self.properties,
            **({"error": {"message": self.record.error}} if self.record is not None and self.record.error else {}),
        }

    # Prompt flow's name for it, which scripts use.
    _to_dict = to_dict

    def __repr__(self) -> str:
        return f"Run(name={self.name!r}, status={self.status!r}, flow={str(self.flow)!r})"


def load_run(source: str | Path, params_override: list[dict[str, Any]] | None = None, **_: Any) -> Run:
    """Return the run that a run file asks for; paths in it are relative to its folder.

    Args:
        source: The file.
        params_override: Mappings of keys whose values replace the file's.

    Raises:
        UserErrorException: when it cannot be read.
    """
    with as_promptflow():
        path = Path(source)
        document = load_yaml(path)
        if not isinstance(document.data, dict):
            raise UserError("a run file is a mapping", where=document.where(), expected=", ".join(_KEYS))
        fields = dict(cast("dict[str, Any]", document.data))
    for key in _PATHS:
        if isinstance(fields.get(key), str):
            fields[key] = str((path.parent / fields[key]).resolve())
    for overrides in params_override or ():
        fields.update(overrides)
    return Run(**fields)
