"""CSV and terminal reports, and the small parts they are made of."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from pilothouse.core.errors import StorageError
from pilothouse.evaluation.types import Estimate, Interval, Metric
from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.comparison import Answer, ExperimentComparison, RowView
from pilothouse.experiments.reports.csv import ROW_COLUMNS, rows_csv, summary_csv
from pilothouse.experiments.reports.diffs import side_by_side
from pilothouse.experiments.reports.files import write_reports
from pilothouse.experiments.reports.selection import select
from pilothouse.experiments.reports.terminal import bar, terminal_report
from pilothouse.experiments.reports.visible import inert, plain, reveal, seen

from .conftest import SPEED, row


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def printed(found: ExperimentComparison) -> str:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    for part in terminal_report(found):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_there_is_a_line_for_every_row_and_arm(found: ExperimentComparison, rows: list[RowView]) -> None:
    lines = read("".join(rows_csv(found, rows)))
    assert len(lines) == 200
    assert tuple(lines[0]) == ROW_COLUMNS
    assert (lines[0]["row"], lines[0]["variant"], lines[0]["truth"], lines[0]["right"]) == ("r0", "zero", "ham", "true")
    failed = next(line for line in lines if line["error"])
    assert (failed["error_node"], failed["outputs"]) == ("classify", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1"])
def test_a_cell_is_never_a_formula_and_a_number_stays_a_number(found: ExperimentComparison, text: str) -> None:
    view = RowView(id=text, number=0, truth=text, answers=(Answer(label=text, primary=-0.5, error=text), None))
    (line,) = read("".join(rows_csv(found, [view])))
    assert line["row"] == line["truth"] == line["label"] == line["error"] == f"'{text}"
    assert line["primary_score"] == "-0.5"


def test_the_summary_has_every_figure_and_its_comparison(found: ExperimentComparison) -> None:
    lines = read("".join(summary_csv(found)))
    assert len(lines) == 6
    better = next(line for line in lines if (line["variant"], line["metric"]) == ("few", "accuracy"))
    assert (better["verdict"], better["won"], better["lost"], better["difference"]) == ("better", "15", "3", "0.12")
    base = next(line for line in lines if line["is_baseline"] == "true")
    assert (base["verdict"], base["p"]) == ("", "")


def test_reports_are_written_whole(found: ExperimentComparison, rows: list[RowView], tmp_path: Path) -> None:
    files = write_reports(tmp_path / "a/b", found, lambda: rows, 50)
    assert sorted(path.name for path in files.html.parent.iterdir()) == ["report.html", "rows.csv", "summary.csv"]
    assert len(read(files.rows.read_text())) == 200
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_reports(tmp_path / "file/b", found, lambda: rows, 50)


def test_a_report_that_fails_half_way_leaves_the_old_one(
    found: ExperimentComparison, rows: list[RowView], tmp_path: Path
) -> None:
    files = write_reports(tmp_path, found, lambda: rows, 50)
    before = files.rows.read_bytes()
    calls = iter([rows, (item if item.number < 50 else 1 / 0 for item in rows)])
    with pytest.raises(ZeroDivisionError):
        write_reports(tmp_path, found, lambda: next(calls), 50)  # type: ignore[arg-type, return-value]
    assert files.rows.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_the_terminal_fits_80_columns_and_shows_what_counts(found: ExperimentComparison) -> None:
    text = printed(found)
    assert max(map(len, text.splitlines())) <= 80
    for words in (
        "a variant is better",
        "0.82 [0.72, 0.92]",
        "+0.12 [+0.02, +0.22]",
        "15/3",
        "<0.001",
        "unknown",
        "zero *",
    ):
        assert words in text
    assert "\u202e" not in text
    assert "…" not in text


def test_long_names_are_clipped_and_one_arm_needs_no_differences(
    found: ExperimentComparison, quiet: ExperimentComparison
) -> None:
    long = structs.replace(found.arms[1], variant=structs.replace(found.arms[1].variant, name="a" * 60))
    text = printed(structs.replace(found, arms=(found.arms[0], long)))
    assert max(map(len, text.splitlines())) <= 80
    assert "differences" not in printed(quiet)


def test_a_bar_keeps_to_its_scale() -> None:
    whole = Estimate(name="x", value=0.5, interval=Interval(low=0.0, high=1.0, level=0.95, method=""))
    assert bar(whole, (0.0, 1.0)) == "├─────●─────┤"
    assert bar(Estimate(name="x", value=1.0), (0.0, 1.0)) == " " * 12 + "●"
    assert bar(Estimate(name="x", value=None), (0.0, 1.0)) == bar(None, (0.0, 1.0)) == ""


def test_rows_are_chosen_by_what_they_teach_and_keep_their_order() -> None:
    many = [row(index, right=index not in {70, 90}, failed=index == 80) for index in range(100)]
    chosen = select(many, 5)
    assert [item.number for item in chosen.rows] == [0, 1, 70, 80, 90]
    assert (chosen.hidden, len(chosen.failures), chosen.hidden_failures) == (95, 1, 0)
    flood = select([row(index, failed=True) for index in range(500)], 5)
    assert (len(flood.failures), flood.hidden_failures) == (200, 300)


def test_a_diff_marks_words_and_folds_what_is_the_same() -> None:
    before = "".join(f"line {index}\n" for index in range(20)) + "say yes now\n"
    after = before.replace("yes", "<no>").replace("line 0\n", "")
    lines = side_by_side(before, after)
    assert (str(lines[0].left), lines[0].right_css) == ("<del>line 0</del>", "blank")
    assert [line.gap for line in lines if line.gap] == [13]
    assert str(lines[-1].left) == "say <del>yes</del> now"
    assert str(lines[-1].right) == "say <ins>&lt;</ins><ins>no</ins><ins>&gt;</ins> now" or "&lt;no&gt;" in str(
        lines[-1].right
    )
    assert side_by_side("same\n", "same\n")[0].left_css == "same"


def test_text_is_made_inert() -> None:
    assert str(inert("a<b\u202e\r\n")) == 'a&lt;b<span class="ctl" title="hidden character">U+202E</span>\n'
    assert str(seen({"a": [1, None]})) == "<bdi>{&#34;a&#34;:[1,null]}</bdi>"
    assert reveal("x\x1b[31m") == "x<U+001B>[31m"
    assert plain(None) == ""
    assert "\\ud800" in plain({"a": "\ud800"})
    family = "👩\u200d👩"
    assert str(inert(family)) == family


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.score(-0.001), "0.00"),
        (numbers.score(-0.126), "−0.13"),
        (numbers.score(None), "–"),
        (numbers.score(float("nan")), "–"),
        (numbers.signed(0.0), "0.00"),
        (numbers.signed(0.5), "+0.50"),
        (numbers.p_value(0.0004), "<0.001"),
        (numbers.p_value(0.0412), "0.041"),
        (numbers.p_value(1.0), "1.00"),
        (numbers.seconds(0.00123), "1.2 ms"),
        (numbers.seconds(0.084), "84 ms"),
        (numbers.seconds(0.0999), "0.10 s"),
        (numbers.seconds(200.4), "3 min 20 s"),
        (numbers.money(None, 3), "unknown"),
        (numbers.money(None), "$0"),
        (numbers.money(Decimal("0.00123")), "$0.00123"),
        (numbers.money(Decimal("12.5"), 2), "at least $12.50"),
        (numbers.percent(0.004), "<1 %"),
        (numbers.percent(0.999), ">99 %"),
        (numbers.difference(Estimate(name="x", value=0.0, n=9), Metric(name="x", kind="mean")), "0.00"),
        (numbers.difference(Estimate(name="x", value=-0.25, n=9), SPEED), "−0.25 s"),
        (numbers.difference(Estimate(name="x", value=0.25, n=9), SPEED), "+0.25 s"),
        (numbers.quantity(123.4, Metric(name="x", kind="mean", unit="tokens"), 9), "123 tokens"),
        (numbers.estimate(Estimate(name="x", value=0.1234, n=2000), Metric(name="x", kind="rate")), "0.123"),
    ],
)
def test_numbers_read_alike_everywhere(shown: str, expected: str) -> None:
    assert shown == expected
