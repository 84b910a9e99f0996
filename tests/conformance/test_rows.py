"""The table of rules is whole: every row is held, and the page says by what."""

from __future__ import annotations

from pathlib import Path

import pytest

from .case import CASES, FILE, load, load_all
from .table import PAGE, ROOT, by_row, page, sections

LEAST = 120

ROWS = [row for section in sections() for row in section.rows]


def test_every_id_is_used_once() -> None:
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))


def test_every_row_is_held_by_a_case_or_a_test() -> None:
    found = by_row(load_all())
    assert [row.id for row in ROWS if not found[row.id] and not row.tests] == []


def test_no_case_names_a_row_that_is_not_there() -> None:
    known = {row.id for row in ROWS}
    assert {case.id: unknown for case in load_all() if (unknown := set(case.rows) - known)} == {}


def test_tests_that_rows_name_are_there() -> None:
    for row in ROWS:
        for test in row.tests:
            path, _, name = test.partition("::")
            assert (ROOT / path).exists(), f"{row.id}: {path}"
            assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{row.id}: {test}"


def test_there_are_enough_flows() -> None:
    assert len(load_all()) >= LEAST


def test_every_folder_of_an_area_is_a_case() -> None:
    folders = [path for path in CASES.glob("*/*") if path.is_dir() and path.name != "__pycache__"]
    assert [str(path) for path in folders if not (path / FILE).is_file()] == []


def test_the_page_is_as_the_cases_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.conformance.table"


def test_a_mistake_in_a_case_names_its_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("rows: []\nabout: x\nsteps: [{tset: {}}]\n")
    with pytest.raises(ValueError, match=rf"{FILE}: .*tset"):
        load(tmp_path)
