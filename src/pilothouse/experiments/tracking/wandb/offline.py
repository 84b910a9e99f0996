"""An experiment as offline runs of Weights & Biases: one run for every arm, in one group, sent by nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pilothouse.core.canonical import digest
from pilothouse.core.environment import export
from pilothouse.core.extras import require
from pilothouse.experiments.reports.exports.records import Record, flat, typed, whole, widen
from pilothouse.experiments.tracking.types import Logged, Tracked, TrackedArm

_QUIET: Final = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "DO_NOT_TRACK": "true",
}
_ODD: Final = re.compile(r"[^\w.-]", re.ASCII)
MOST_ROWS: Final = 10_000
"""Rows of a table; W&B shows no more, and holds a table in memory."""


class WandbTracker:
    """Writes experiments into a folder.

    Args:
        folder: Made where it is missing; `wandb sync` takes what is in its folder ``wandb``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def log(self, tracked: Tracked, group: str | None = None) -> Logged:
        """Log an experiment; see `Tracker.log`. The ids of runs follow from its digest, so W&B doubles none."""
        export(_QUIET)
        wandb = require("wandb", extra="wandb", purpose="logging to Weights & Biases")
        self._folder.mkdir(parents=True, exist_ok=True)
        rows = 0
        notes = list(tracked.notes)
        project = _ODD.sub("-", group or tracked.name)[:128]
        updated = 0
        for arm in tracked.arms:
            run_id = digest([tracked.digest, arm.name])[:16]
            updated += any((self._folder / "wandb").glob(f"offline-run-*-{run_id}"))
            count = self._write(wandb, tracked, arm, (project, run_id))
            rows += min(count, MOST_ROWS)
            if count > MOST_ROWS:
                notes.append(f"{arm.name}: the table has the first {MOST_ROWS:,} of {count:,} rows")
        return Logged(
            target=str(self._folder / "wandb"),
            runs=len(tracked.arms),
            updated=updated,
            rows=rows,
            notes=(*notes, f"nothing was sent: wandb sync {self._folder / 'wandb'}/offline-run-*"),
        )

    def _write(self, wandb: Any, tracked: Tracked, arm: TrackedArm, place: tuple[str, str]) -> int:
        project, run_id = place
        settings = wandb.Settings(
            mode="offline", silent=True, console="off", disable_git=True, disable_code=True, save_code=False,
            x_disable_meta=True, x_disable_stats=True, x_disable_machine_info=True,
        )  # fmt: skip
        run = wandb.init(
            dir=str(self._folder), project=project, id=run_id, name=arm.name, group=tracked.ref, job_type="variant",
            config={**arm.params, "pilothouse.digest": tracked.digest, "pilothouse.ref": tracked.ref},
            tags=[tag[:64] for tag in ("pilothouse", tracked.ref)], notes=tracked.found.verdict, settings=settings,
            reinit="create_new",
        )  # fmt: skip
        try:
            columns, count = _shape(tracked, arm)
            table = wandb.Table(columns=columns, data=list(_cells(tracked, arm, columns)), allow_mixed_types=True)
            run.log({**arm.metrics, "table": table})
            own = f"{arm.name}."
            against = {
                f"vs.{name[len(own) :]}": value for name, value in tracked.metrics.items() if name.startswith(own)
            }
            run.summary.update({**arm.metrics, **against})
        finally:
            run.finish()
        return count


def _mine(tracked: Tracked, arm: TrackedArm) -> Iterator[Record]:
    return (record for record in tracked.records() if record["variant"] == arm.name)


def _shape(tracked: Tracked, arm: TrackedArm) -> tuple[list[str], int]:
    columns: dict[str, str] = {}
    count = 0
    for record in _mine(tracked, arm):
        widen(columns, flat(record))
        count += 1
    return list(typed(columns)), count


def _cells(tracked: Tracked, arm: TrackedArm, columns: list[str]) -> Iterator[list[Any]]:
    for _, record in zip(range(MOST_ROWS), _mine(tracked, arm), strict=False):
        values = whole(flat(record))
        yield [values.get(name) for name in columns]
