"""A run that was made elsewhere, recorded among ours as it ended there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from itertools import islice
from typing import Final

from msgspec.structs import replace

from pilothouse.core.services import Services
from pilothouse.core.storage.files import AppendLog
from pilothouse.core.storage.sql import Database
from pilothouse.experiments.runs.lineage import Lineage
from pilothouse.experiments.runs.rowcodec import encode_row
from pilothouse.experiments.runs.service import FOLDER, ROWS
from pilothouse.experiments.runs.store import RunStore
from pilothouse.experiments.runs.types import Run, RunRow
from pilothouse.registry.service import RegistryService

_BATCH: Final = 1000


def adopt(services: Services, run: Run, rows: Iterable[RunRow]) -> Run:
    """Record a run with all its rows, and return it with the version of its flow.

    Raises:
        Conflict: its name is taken.
        StorageError: the disk is full; nothing of the run is kept.
    """
    store, lineage = RunStore(services.get(Database)), Lineage(services.get(RegistryService))
    source = store.get(run.source_run) if run.source_run is not None else None
    folder = services.state / FOLDER / run.id
    pending = iter(rows)
    try:
        with AppendLog(folder / ROWS) as log:
            while batch := [encode_row(row) for row in islice(pending, _BATCH)]:
                log.append(batch)
            flow, data = lineage.registered(run.flow, run.data)
            run = replace(run, flow=flow, data=data)
            store.insert(run)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    lineage.link(run, source)
    return run
