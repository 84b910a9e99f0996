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
        if data is None or data.version is not None:
            return flow, data
        # A file is not a dataset until somebody adds it as one; its content is known all the same.
        metadata = {"source": data.source, "rows": data.rows}
        file, _ = self._registry.register("data-file", slug(data.name), data.digest, metadata=metadata)
        return flow, replace(data, version=file.ref)

    def link(self, run: Run, source: Run | None, resumed: Run | None = None) -> None:
        """State what a recorded run was made from: its inputs, the run it judges, the run whose rows it kept."""
        made = self._registry.register("run", run.name, digest(run.id), metadata={"id": run.id})[0].ref
        self._registry.link(run.flow.version or "", made, "input")
        if run.data is not None and run.data.version is not None:
            self._registry.link(run.data.version.replace("dataset:", "dataset/", 1), made, "input")
        if source is not None:
            self._registry.link(f"run/{source.name}", made, "evaluated_by")
        if resumed is not None:
            self._registry.link(f"run/{resumed.name}", made, "resumed_by")


def slug(name: str) -> str:
    """Return a name as the registry takes it."""
    return _FOREIGN.sub("-", name).strip("-") or "unnamed"
