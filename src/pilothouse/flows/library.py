"""The flows of a project: found by their files, named by their folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from pilothouse.core.errors import FlowError, NotFound, nearest_hint
from pilothouse.flows.dag.includes import IGNORED
from pilothouse.flows.loader import DAG_FILES, FLEX_FILES, PROMPTY, load_flow
from pilothouse.flows.types import Flow

BUILD = "pilothouse-build.json"
"""The file by which a build is known; what is in a build are copies of flows."""

_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"


class FlowEntry(Struct, frozen=True, kw_only=True):
    """A flow's file below the project.

    Attributes:
        path: The flow's folder, or the file of a prompty, relative to the project.
        file: The file, absolute.
        flow: What was read; None when it was refused.
        error: Why it was refused.
    """

    path: Path
    file: Path
    flow: Flow | None = None
    error: FlowError | None = None

    @property
    def name(self) -> str:
        """The flow's name, or that of its folder when it cannot be read."""
        if self.flow is not None:
            return self.flow.name
        return self.file.stem if self.file.suffix == PROMPTY else self.file.parent.name


def find_flows(root: Path) -> tuple[FlowEntry, ...]:
    """Return every flow below ``root``, those that cannot be read with the reason."""
    return tuple(_entry(root, file) for file in flow_files(root))


def locate(root: Path, reference: str) -> Path:
    """Return the flow that ``reference`` means: a path from here, a path from the project, or a name.

    Raises:
        NotFound: when nothing fits, naming the nearest flow.
        FlowError: when a name fits several flows.
    """
    for place in (Path(reference).absolute(), root / reference):
        if place.exists():
            return place
    entries = find_flows(root)
    fitting = [entry for entry in entries if reference in {entry.name, entry.path.name}]
    if len(fitting) > 1:
        places = ", ".join(str(entry.path) for entry in fitting)
        raise FlowError(f"{len(fitting)} flows have the name '{reference}': {places}", fix="give the path of one")
    if not fitting:
        known = [name for entry in entries for name in (entry.name, str(entry.path))]
        raise NotFound(f"there is no flow '{reference}'", where=str(root), expected=nearest_hint(reference, known))
    return fitting[0].file


def _entry(root: Path, file: Path) -> FlowEntry:
    path = (file if file.suffix == PROMPTY else file.parent).relative_to(root)
    try:
        return FlowEntry(path=path, file=file, flow=load_flow(file))
    except FlowError as error:
        return FlowEntry(path=path, file=file, error=error)


def flow_files(folder: Path) -> Iterator[Path]:
    """Return the file of every flow below ``folder``, none of them read."""
    inner: list[Path] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            # Links are not followed: they may lead back up.
            if not path.is_symlink() and not path.name.startswith(".") and path.name not in IGNORED:
                inner.append(path)
        elif path.name in (*DAG_FILES, *FLEX_FILES) or path.suffix == PROMPTY:
            yield path
    for path in inner:
        if not any((path / mark).exists() for mark in (_VIRTUAL_ENVIRONMENT, BUILD)):
            yield from flow_files(path)
