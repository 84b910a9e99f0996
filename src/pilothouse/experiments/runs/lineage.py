"""What a run was made from, stated in the registry."""

from __future__ import annotations

import re

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.experiments.runs.types import DataRef, FlowRef, Run
from pilothouse.registry.service import RegistryService

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")


class Lineage:
    """States versions of flows, data and runs, and what led to what."""

    def __init__(self, registry: RegistryService) -> None:
        self._registry = registry

    def registered(self, flow: FlowRef, data: DataRef | None) -> tuple[FlowRef, DataRef | None]:
        """Return flow and data with their versions; content that is known already makes no new one."""
        version, _ = self._registry.register("flow", slug(flow.name), flow.digest, metadata={"path": flow.path})
        flow = replace(flow, version=version.ref)
        return flow, None if data is None else self._known(data)

    def _known(self, data: DataRef) -> DataRef:
        if data.version is not None:
            return data
        # A file is not a dataset until somebody adds it as one; its content is known all the same.
        metadata = {"source": data.source, "rows": data.rows}
        kind = "datasets" if data.parts else "data-file"
        file, _ = self._registry.register(kind, slug(data.name), data.digest, metadata=metadata)
        known = replace(data, version=file.ref, parts=tuple(map(self._known, data.parts)))
        for part in known.parts:
            self._registry.link(registered_as(part), file, "part_of")
        return known

    def link(self, run: Run, source: Run | None, resumed: Run | None = None) -> None:
        """State what a recorded run was made from: its inputs, the run it judges, the run whose rows it kept."""
        made = self._registry.register("run", run.name, digest(run.id), metadata={"id": run.id})[0].ref
        self._registry.link(run.flow.version or "", made, "input")
        if run.data is not None and run.data.version is not None:
            self._registry.link(registered_as(run.data), made, "input")
        if source is not None:
            self._registry.link(f"run/{source.name}", made, "evaluated_by")
        if resumed is not None:
            self._registry.link(f"run/{resumed.name}", made, "resumed_by")


def registered_as(data: DataRef) -> str:
    """Return the reference of registered data."""
    return (data.version or "").replace("dataset:", "dataset/", 1)


def slug(name: str) -> str:
    """Return a name as the registry takes it."""
    return _FOREIGN.sub("-", name).strip("-") or "unnamed"
