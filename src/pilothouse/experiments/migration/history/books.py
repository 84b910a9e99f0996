"""Where prompt flow keeps its runs, and what its database says about each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

from msgspec.structs import replace

from pilothouse.core.environment import Environment
from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.experiments.migration.history.folder import is_run_folder, moment, read_folder
from pilothouse.experiments.migration.history.types import Facts, Recording
from pilothouse.experiments.migration.store import StoredRun, read_runs

_HOME: Final = "PF_HOME_DIRECTORY"
_DATABASE: Final = "pf.sqlite"
_RUNS: Final = ".runs"


def home_folder(environment: Environment) -> Path:
    """Return the folder in which prompt flow keeps its books."""
    return Path(environment.get(_HOME, "") or Path.home() / ".promptflow")


def database(home: Path) -> Path:
    """Return prompt flow's database."""
    return home / _DATABASE


def known_runs(home: Path) -> tuple[Facts, ...]:
    """Return all runs that prompt flow knows, the first made first; those whose folder alone is left come last.

    Raises:
        DataError: when its database is none.
    """
    listed = [_facts(item) for item in read_runs(home / _DATABASE)] if (home / _DATABASE).is_file() else []
    found = {facts.name: _placed(facts, home) for facts in listed}
    place = home / _RUNS
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if folder.name not in found and folder.is_dir() and is_run_folder(folder):
            found[folder.name] = Facts(name=folder.name, folder=str(folder))
    return tuple(found.values())


def recorded(ref: str, home: Path) -> Recording | None:
    """Return a run of prompt flow by its folder or its name; None when there is none of that name.

    Raises:
        NotFound: for a folder that holds no run.
        DataError: for a record that cannot be read.
    """
    folder = Path(ref).expanduser()
    if folder.is_dir():
        # The books may lie two folders above; a folder that was copied or downloaded has none.
        above = folder.resolve().parent.parent
        known = {facts.name: facts for facts in known_runs(above)} if (above / _DATABASE).is_file() else {}
        return read_folder(folder, known.get(folder.resolve().name))
    known = {facts.name: facts for facts in known_runs(home)}
    if ref not in known:
        return None
    if not Path(known[ref].folder).is_dir():
        raise NotFound(f"the folder of prompt flow's run '{ref}' is gone", where=known[ref].folder)
    return read_folder(Path(known[ref].folder), known[ref])


def names_hint(ref: str, home: Path) -> str:
    """Return the name nearest to ``ref`` among prompt flow's runs, for an error."""
    return nearest_hint(ref, [facts.name for facts in known_runs(home)])


def _placed(facts: Facts, home: Path) -> Facts:
    """Return the facts with the folder where the run is now: the home may have been moved."""
    beside = home / _RUNS / facts.name
    if Path(facts.folder).is_dir() or not beside.is_dir():
        return facts
    return replace(facts, folder=str(beside))


def _facts(item: StoredRun) -> Facts:
    told = item.properties

    def text(key: str) -> str:
        return str(told.get(key) or "")

    def pairs(key: str) -> dict[str, Any]:
        value = told.get(key)
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    return Facts(
        name=item.name,
        status=item.status,
        display_name=item.display_name,
        description=item.description,
        tags={key: str(value) for key, value in item.tags.items()},
        flow=text("flow_path"),
        data=item.data,
        column_mapping=pairs("column_mapping"),
        variant=text("node_variant"),
        source_run=text("run"),
        resumed_from=text("resume_from"),
        init=pairs("init_kwargs"),
        folder=text("output_path"),
        created_at=moment(item.created_on),
        archived=item.archived,
    )
