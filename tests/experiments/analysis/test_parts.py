"""Slices and single rows of a whole experiment: from the file to the comparison, the words and the reports."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pilothouse.core.errors import ConfigError
from pilothouse.experiments.reports.terminal import terminal_report

from ..conftest import Project

SLICES = """\
slices:
  - kind
  - {column: number, bins: 2}
"""


@pytest.fixture
def sliced(project: Project) -> Project:
    """`zero` fails on every tricky row and only there; the column `kind` says which those are."""
    lines = (project.root / "data/sms.csv").read_text().splitlines()
    rows = [f"{line},{'tricky' if 'tricky' in line else 'plain'},{i}" for i, line in enumerate(lines[1:])]
    big = [line.replace(" ", f" again {k} ", 1) for k in range(2) for line in rows]
    project.write("data/sms.csv", "\n".join([f"{lines[0]},kind,number", *big]) + "\n")
    with project.file.open("a") as file:
        file.write(SLICES)
    return project


def test_slices_of_an_experiment_find_where_the_variant_is_better(sliced: Project) -> None:
    finding = sliced.run()
    report = finding.comparison.slices
    assert report is not None
    assert [part.name for part in report.slices] == [
        "kind = plain", "kind = tricky", "number = 0 to 19", "number = over 19 to 39",
    ]  # fmt: skip
    tricky = report.slices[1]
    assert [(item.candidate, item.verdict) for item in tricky.comparisons] == [
        ("few", "better"), ("strict", "better"),
    ]  # fmt: skip
    assert tricky.estimates["zero"].value == 0.0
    patterns = {(test.by, test.arm): test.differs for test in report.heterogeneity if test.of == "difference"}
    assert patterns == {
        ("kind", "few"): True, ("kind", "strict"): True, ("number", "few"): False, ("number", "strict"): False,
    }  # fmt: skip
    notes = finding.comparison.notes
    assert any(note.startswith("The difference of few from zero depends on kind (p <0.001)") for note in notes)
    assert "Nothing shows that a difference from zero depends on number: what looks unlike may be noise." in notes
    page = finding.files.html.read_text()
    assert 'id="slices"' in page
    assert "few less zero by kind" in page


def test_other_slices_are_another_version_that_runs_nothing(sliced: Project) -> None:
    first = sliced.run()
    calls = sliced.calls()
    sliced.edit("experiment.yaml", "bins: 2", "bins: 4")
    second = sliced.run()
    assert (first.record.ref, second.record.ref, sliced.calls()) == ("sms:1", "sms:2", calls)
    assert sliced.experiments.comparison("sms:2") == second.comparison


def test_single_rows_are_part_of_every_comparison(sliced: Project) -> None:
    found = sliced.run().comparison
    assert found.items is not None
    assert (found.items.items, found.items.informative, found.items.all_wrong) == (80, 40, 0)
    assert {item.candidate: item.differing for item in found.items.deciding} == {"few": 20, "strict": 40}
    console = Console(width=80, record=True, file=io.StringIO())
    for part in terminal_report(found):
        console.print(part)
    text = console.export_text()
    assert "accuracy: differences in slices" in text
    assert "40 of 80 rows tell the variants apart" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ("[knd]", "no column 'knd'"),
        ("[{cross: [kind, nmber]}]", "no column 'nmber'"),
        ("[{bins: 3}]", "names one column"),
        ("{by: [kind], min_row: 3}", "unknown key 'min_row'"),
        ("{by: [kind], correction: none}", "correction"),
        ("[{column: number, bins: 1}]", "bins"),
    ],
)
def test_a_slice_that_cannot_be_is_refused_before_anything_runs(sliced: Project, slices: str, message: str) -> None:
    Path(sliced.file).write_text(sliced.file.read_text().replace(SLICES, f"slices: {slices}\n"))
    with pytest.raises(ConfigError) as caught:
        sliced.run()
    assert message in str(caught.value)
    assert "experiment.yaml:" in str(caught.value.where)
    assert sliced.calls() == 0
