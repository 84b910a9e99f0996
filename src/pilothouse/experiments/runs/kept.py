"""Runs that are recorded: found, read, exported, named anew, put away, told to stop, deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec

from pilothouse.core.clock import Clock
from pilothouse.core.errors import Conflict, NotFound
from pilothouse.core.storage.files import AppendLog
from pilothouse.experiments.runs.exports.formats import ExportFormat, export_run
from pilothouse.experiments.runs.journal import Journal, RowIndex
from pilothouse.experiments.runs.live import cancellation
from pilothouse.experiments.runs.live.following import Follower
from pilothouse.experiments.runs.records import counted, told
from pilothouse.experiments.runs.store import RunStore
from pilothouse.experiments.runs.types import RowOrder, RowStatus, Run, RunRow, RunStatus

ROWS = "rows.jsonl"


class KeptRuns:
    """Verbs on runs that need no flow and no model.

    Args:
        folder: Holds a folder for each run.
        store: Their records.
        clock: Where the time comes from.
    """

    def __init__(self, folder: Path, store: RunStore, clock: Clock) -> None:
        self._folder = folder
        self._store = store
        self._clock = clock

    def get(self, ref: str) -> Run:
        """Return a run; one whose process was killed is told as interrupted, with the rows it recorded.

        Args:
            ref: Name, id, id prefix of at least 4 characters, or `latest`.

        Raises:
            NotFound: there is none.
        """
        return self._told(self._store.get(ref))

    def list(
        self,
        *,
        experiment: str | None = None,
        status: RunStatus | None = None,
        archived: bool | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Return runs, the latest first.

        Args:
            experiment: Only runs of this experiment.
            status: Only runs of this status.
            archived: Only archived runs, or only the others; None for both.
            limit: At most so many.
        """
        # The status of a run whose process was killed is not the recorded one.
        most = limit if status is None else None
        found = self._store.list(experiment=experiment, archived=archived, limit=most)
        runs = (self._told(run) for run in found)
        return list(islice((run for run in runs if status in (None, run.status)), limit))

    def rows(self, run: Run | str, *, order: RowOrder = "input", status: RowStatus | None = None) -> Iterator[RunRow]:
        """Yield the latest outcome of every row, one in memory at a time.

        Args:
            run: The run, or what `get` takes.
            order: That of the data (and of aggregation), or that in which the rows ended.
            status: Only rows of this outcome.
        """
        found = run if isinstance(run, Run) else self._store.get(run)
        return self._journal(found).rows(status=status, order=order)

    def reader(self, run: Run) -> Callable[[], Iterator[RunRow]]:
        """Return what yields the rows of a run that has ended, in input order, from the first at each call.

        Where the rows stand is found out once, not at each call.
        """
        journal = self._journal(run)
        index: list[RowIndex] = []

        def rows() -> Iterator[RunRow]:
            if not index:
                index.append(journal.index())
            return journal.rows(index=index[0])

        return rows

    def line(self, run: Run | str, line_id: str) -> tuple[RunRow, ...]:
        """Return all repetitions of one row.

        Raises:
            NotFound: the run has no such row.
        """
        found = tuple(row for row in self.rows(run) if row.line_id == line_id)
        if not found:
            raise NotFound(f"the run has no row '{line_id}'", fix="pilothouse run show RUN --rows")
        return found

    def export(self, run: Run | str, folder: Path, export_format: ExportFormat = "jsonl") -> tuple[Path, ...]:
        """Write a run's record and rows as files into ``folder``; return the files.

        Raises:
            Conflict: the folder is not empty.
            StorageError: the disk is full.
        """
        found = run if isinstance(run, Run) else self.get(run)
        return export_run(found, lambda: self.rows(found), folder, export_format)

    def follow(self, run: Run) -> Follower:
        """Return what glances at a run while another process works on it."""
        return Follower(run, self._journal(run), self._clock)

    def is_worked_on(self, run: Run) -> bool:
        """Return whether a process is working on a run now."""
        return self._store.get(run.id).status == "running" and self._journal(run).is_held()

    def update(
        self,
        ref: str,
        *,
        display_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """Give a run other words; what is None stays, and tags are added to those that are there.

        Raises:
            NotFound: there is no such run.
        """
        words = {"display_name": display_name, "description": description}
        given = {key: value for key, value in words.items() if value is not None}

        def said(run: Run) -> Run:
            spec = msgspec.structs.replace(run.spec, **given, tags={**run.spec.tags, **(tags or {})})
            return msgspec.structs.replace(run, spec=spec)

        return self._change(ref, said)

    def archive(self, ref: str, *, archived: bool = True) -> Run:
        """Leave a run out of lists, or take it back into them; nothing of it is lost.

        Raises:
            NotFound: there is no such run.
        """
        return self._change(ref, lambda run: msgspec.structs.replace(run, archived=archived))

    def cancel(self, ref: str, *, at_once: bool = False) -> Run:
        """Ask the process that works on a run to stop, and return at once; its rows are kept.

        A run whose process is gone is recorded as interrupted. Asking again is harmless.

        Args:
            ref: What `get` takes.
            at_once: Leave rows in flight as they are.

        Returns:
            The run: ``running`` while its process has not stopped, or as it ended.

        Raises:
            Conflict: its rows are in another folder than this project's.
        """
        run = self._store.get(ref)
        if run.status != "running":
            return run
        folder = self._folder / run.id
        if not folder.is_dir():
            raise Conflict(
                f"the rows of the run '{run.name}' are not here, so nobody here is working on it",
                where=str(folder),
                fix="cancel it in the project folder in which it was begun",
            )
        if self._journal(run).is_held():
            cancellation.ask(folder, is_urgent=at_once)
            return run
        with self._held(run):
            self._store.change(run.id, self._given_up)
            cancellation.forget(folder)
        return self._store.get(run.id)

    def delete(self, ref: str) -> Run:
        """Forget a run and its rows; what other runs took from the node cache stays.

        Raises:
            Conflict: a process is working on it.
        """
        run = self._store.get(ref)
        with self._held(run):
            self._store.delete(run.id)
            shutil.rmtree(self._folder / run.id, ignore_errors=True)
        return run

    def _change(self, ref: str, made: Callable[[Run], Run]) -> Run:
        run = self._store.get(ref)
        changed = self._store.change(run.id, made)
        if changed is None:
            raise NotFound(f"the run '{run.name}' was deleted meanwhile")
        return self._told(changed)

    def _given_up(self, run: Run) -> Run:
        return counted(run, self._journal(run), "interrupted") if run.status == "running" else run

    def _told(self, run: Run) -> Run:
        return told(run, self._journal(run), lambda: self._store.get(run.id))

    def _journal(self, run: Run) -> Journal:
        return Journal(self._folder / run.id / ROWS, run.repeat)

    @contextmanager
    def _held(self, run: Run) -> Generator[AppendLog]:
        """Keep other processes from working on a run."""
        try:
            log = AppendLog(self._journal(run).path)
        except Conflict as error:
            raise Conflict(
                f"another process is working on the run '{run.name}'",
                fix=f"wait until it has ended (pilothouse run stream {run.name}), "
                f"or stop it (pilothouse run cancel {run.name})",
            ) from error
        with log:
            yield log
