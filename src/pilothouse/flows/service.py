"""The flows of a project as the rest of the house uses them: found, loaded, and registered as versions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from pilothouse.core.services import Services
from pilothouse.flows.library import FlowEntry, find_flows, locate
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import Version

KIND = "flow"


class FlowService:
    """The flows of one project.

    Args:
        root: The project's folder.
        registry: Where their versions are kept.
    """

    def __init__(self, *, root: Path, registry: RegistryService) -> None:
        self._root = root
        self._registry = registry

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the service of a project."""
        return cls(root=services.root, registry=services.get(RegistryService))

    def list(self) -> tuple[FlowEntry, ...]:
        """Return every flow of the project, those that cannot be read with the reason."""
        return find_flows(self._root)

    def load(self, reference: str) -> Flow:
        """Return a flow by its path or its name.

        Raises:
            NotFound: when there is none.
            FlowError: when it cannot be used.
        """
        return load_flow(locate(self._root, reference))

    def register(self, flow: Flow) -> tuple[Version, bool]:
        """Make the flow's content known as a version; content that is known keeps its version.

        Returns:
            The version, and whether it is new.
        """
        is_inside = flow.path.is_relative_to(self._root)
        path = flow.path.relative_to(self._root) if is_inside else flow.path
        metadata = {"path": str(path), "kind": flow.kind, "nodes": [node.name for node in flow.nodes]}
        return self._registry.register(KIND, version_name(flow), flow.digest, metadata=metadata)


def version_name(flow: Flow) -> str:
    """Return the flow's name in the form that the registry takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", flow.name).strip("-.") or KIND
