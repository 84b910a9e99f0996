"""Tables as people see them."""

from __future__ import annotations

import pytest

from pilothouse.core.terminal import console, table


def test_a_title_stays_on_one_line_over_a_narrow_table(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(table("A title of many words", ["a", ">n"], [["x", 1]]))
    title, head, rule, row = capsys.readouterr().out.splitlines()
    assert title.strip() == "A title of many words"
    assert (head.split(), row.split()) == (["a", "n"], ["x", "1"])
    assert set(rule) == {"─"}


def test_cells_are_texts_and_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(table(None, ["a"], [["pilothouse[local]"]]))
    assert "pilothouse[local]" in capsys.readouterr().out
