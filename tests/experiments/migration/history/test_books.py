"""Runs are found by folder and by name, with what the database says about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.errors import DataError, NotFound
from pilothouse.experiments.migration.history.books import known_runs, recorded

from ..recorded import books, row, run_folder


def home_of(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for name in ("first", "second", "stray"):
        run_folder(home / ".runs" / name, [row(0, {"x": 1}, {"y": 2})])
    properties = {
        "flow_path": "/old/flow",
        "node_variant": "${ask.short}",
        "column_mapping": {"x": "${data.x}"},
        "resume_from": "first",
        "init_kwargs": {"points": "5"},
    }
    return books(home, {"name": "first"}, {"name": "second", "properties": properties, "archived": 1})


def test_facts_come_from_the_database(tmp_path: Path) -> None:
    found = recorded("second", home_of(tmp_path))
    assert found is not None
    facts = found.facts
    assert (facts.flow, facts.variant, facts.resumed_from) == ("/old/flow", "${ask.short}", "first")
    assert (facts.column_mapping, facts.init, facts.archived) == ({"x": "${data.x}"}, {"points": "5"}, True)
    assert facts.created_at is not None
    assert facts.created_at.second == 1


def test_runs_stand_in_the_order_they_were_made_and_strays_last(tmp_path: Path) -> None:
    assert [facts.name for facts in known_runs(home_of(tmp_path))] == ["first", "second", "stray"]


def test_a_folder_finds_its_books_and_does_without(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    by_folder = recorded(str(home / ".runs" / "second"), tmp_path / "nowhere")
    assert by_folder is not None
    assert by_folder.facts.variant == "${ask.short}"
    alone = (home / ".runs" / "second").rename(tmp_path / "copy")
    copied = recorded(str(alone), tmp_path / "nowhere")
    assert copied is not None
    assert (copied.facts.name, copied.facts.variant) == ("copy", "")


def test_a_home_that_was_moved_is_read_where_it_is(tmp_path: Path) -> None:
    moved = home_of(tmp_path).rename(tmp_path / "moved")
    found = recorded("first", moved)
    assert found is not None
    assert found.where == str(moved / ".runs" / "first")


def test_unknown_names_and_folders_that_are_gone(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    assert recorded("third", home) is None
    assert recorded("third", tmp_path / "nowhere") is None
    (home / ".runs" / "first").rename(tmp_path / "away")
    with pytest.raises(NotFound, match="is gone"):
        recorded("first", home)


def test_another_file_in_the_place_of_the_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pf.sqlite").write_text("no database at all, but long enough to be looked at")
    with pytest.raises(DataError, match="not prompt flow's database"):
        known_runs(tmp_path)
