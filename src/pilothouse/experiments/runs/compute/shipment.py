"""What a worker on another machine needs of the project: a few files, and the variables that they refer to.

The files travel as one object, through Ray's own channel, and are unpacked into a folder that ends with the worker.
Their places relative to each other stay as they are, so that what a flow file says of its neighbours holds.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.environment import environment_names, read_dotenv
from pilothouse.core.errors import ConfigError, FlowError
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE, PREFIX
from pilothouse.experiments.runs.isolation.types import Opening
from pilothouse.flows.dag.includes import IGNORED
from pilothouse.flows.dag.variants import chosen
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService

#: Bytes of files at most: every worker receives all of them.
MOST = 256 << 20

#: Beginnings of variables that settings are made of.
_SETTINGS = (PREFIX, "PF_", "OTEL_")

_TEXTS = (".yaml", ".yml", ".prompty", ".json")


class Shipment(Struct, frozen=True):
    """The files of a project that one flow needs, as an archive of paths relative to the machine's root."""

    archive: bytes


def pack(services: Services, flow: Flow) -> Shipment:
    """Return what a worker elsewhere needs: the flow's files and includes, the settings and the connections.

    `.env` stays here, and so do all hidden files, the data and the state folder.

    Raises:
        ConfigError: when that is too much to be sent to every worker.
    """
    data = io.BytesIO()
    size = 0
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1, dereference=True) as archive:
        for path in dict.fromkeys(_files(services, flow)):
            size += path.stat().st_size
            if size > MOST:
                raise ConfigError(
                    f"the flow's files are more than {MOST >> 20} MiB, and every worker would receive them",
                    where=str(flow.folder),
                    fix="keep data and models outside of the flow's folder, at a place that all machines see",
                )
            archive.add(path, _relative(path).as_posix(), recursive=False)
    return Shipment(data.getvalue())


def unpack(opening: Opening, shipment: Shipment, folder: Path) -> Opening:
    """Return what is to be opened, with the files of a shipment in ``folder`` in place of those of the driver.

    Raises:
        FlowError: when the flow is not what was sent.
    """
    with tarfile.open(fileobj=io.BytesIO(shipment.archive)) as archive:
        archive.extractall(folder, filter="data")
    flow, variants = opening.flow, opening.flow.variants
    here = chosen(load_flow(folder / _relative(flow.path)), variants)
    if here.digest != flow.digest:
        raise FlowError("the flow's files are not the same on the worker", where=str(flow.path))
    root = folder / _relative(opening.root)
    root.mkdir(parents=True, exist_ok=True)
    return replace(
        opening,
        root=root,
        state=folder / _relative(opening.state),
        flow=replace(here, environment_variables=flow.environment_variables),
    )


def variables(services: Services, flow: Flow) -> dict[str, str]:
    """Return the variables that a worker elsewhere needs: those that the project names, and no other of this machine.

    They are what `.env` sets, what files of the project refer to, what may take the place of a connection's field,
    and settings of Pilothouse, prompt flow and OpenTelemetry.
    """
    environment, folder = services.settings.environment, services.get(ModelService).files
    names = set(read_dotenv(services.root / ".env"))
    for path in _files(services, flow):
        if path.suffix in _TEXTS:
            names.update(environment_names(path.read_text(encoding="utf-8", errors="replace")))
    for spec in folder.all():
        names.update(spec.override(key) for key in (*spec.kind.fields, *spec.texts))
    return {name: value for name, value in environment.items() if name in names or name.startswith(_SETTINGS)}


def _files(services: Services, flow: Flow) -> Iterator[Path]:
    settings = services.root / FILE
    if settings.is_file():
        yield settings
    for spec in services.get(ModelService).files.all():
        path = Path(spec.where.rpartition(":")[0] or spec.where)
        if path.is_file():
            yield path
    yield from _below([flow.folder, *(include.source for include in flow.additional_includes)])


def _below(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_file():
            yield place
            continue
        for path in sorted(place.iterdir()):
            if path.name.startswith(".") or path.name in IGNORED:
                continue
            yield from _below([path])


def _relative(path: Path) -> Path:
    # Links stay where they stand: what they lead to is sent in their place.
    path = Path(os.path.normpath(path.absolute()))
    return path.relative_to(path.anchor)
