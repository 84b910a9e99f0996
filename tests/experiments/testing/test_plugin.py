"""The pytest plugin, by real runs of pytest: outcomes, reasons, tracebacks, fixtures, files, baselines, reports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Inner, make_project

OUTCOMES = """\
import asyncio

import pytest

import pilothouse as ph

ASKED = {
    "data": "data/qa.jsonl",
    "evaluators": ["exact_match"],
    "id_column": "id",
    "gate": {"metrics": {"exact_match": {"at_least": 0.8}}},
}


def exact(prediction, truth):
    return prediction == truth


def broken(prediction):
    raise KeyError("no such judge")


@pytest.fixture
def last():
    return lambda row: row["question"].split()[-1]


@ph.evaluate(**ASKED)
def test_right(row, last):
    assert row["the place"] in (0, 1)
    return last(row)


@ph.evaluate(**ASKED)
def test_wrong(row, last):
    return last(row) if int(row["truth"]) % 2 else "nothing"


@ph.evaluate(**ASKED)
def test_open(row, last):
    return last(row) if int(row["truth"]) % 6 else "nothing"


@ph.evaluate(**ASKED)
def test_raises(row):
    if row["id"] == "q7":
        raise ValueError("no answer to " + row["id"])
    return row["truth"]


class TestClass:
    word = "what"

    @pytest.mark.parametrize("times", [1, 2])
    @ph.evaluate(**{**ASKED, "evaluators": exact, "repeats": 2, "gate": {"metrics": {"exact": {"at_least": 0.8}}}})
    async def test_waits(self, row, last, times, request):
        await asyncio.sleep(0)
        assert row["question"].startswith(self.word)
        assert f"[{times}]" in request.node.name
        return last(row)


@ph.evaluate(**{**ASKED, "evaluators": ["exact_match", broken]})
def test_judge_raises(row, last):
    return last(row)


@ph.evaluate(**{**ASKED, "column_mapping": {"prediction": "${run.outputs.said}"}})
def test_mapped(row, last):
    return {"said": last(row), "other": 1}


@ph.evaluate(**{**ASKED, "gate": {"must_pass": {"ids": ["q3", "q4"]}, "budget": {"latency_p95": 1e-9}}})
def test_rows_that_must_pass(row, last):
    return "nothing" if row["id"] == "q4" else last(row)


@ph.evaluate(experiment="experiment.yaml")
def test_file(result):
    assert result.passed("exact_match")
    assert result.figure("exact_match").n == 60


@ph.evaluate(experiment="experiment.yaml", limit=30)
def test_body(result):
    assert result.figure("exact_match").value < 0.5


@ph.evaluate(**{**ASKED, "flow": "flow", "inputs": {"question": "${data.question}"}})
def test_flow():
    pass


@ph.evaluate(**{**ASKED, "gat": {}})
def test_unknown_word(row):
    return ""


@ph.evaluate(**{**ASKED, "gate": {"metrics": {"exact_mach": {"at_least": 0.8}}}})
def test_unknown_metric(row):
    return ""


@ph.evaluate(**{**ASKED, "gate": {"flips": {}}})
def test_no_baseline(row):
    return ""


def test_plain():
    pass
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Inner:
    root = tmp_path_factory.mktemp("inner")
    run = make_project(root)
    (root / "test_qa.py").write_text(OUTCOMES)
    return run("--pilothouse-report", "pages")


def test_the_outcomes(ran: Inner) -> None:
    passed = {name for name, (outcome, _) in ran.cases.items() if outcome == "passed"}
    assert passed == {"test_right", "test_waits[1]", "test_waits[2]", "test_mapped", "test_file", "test_flow",
                      "test_plain"}, ran.text  # fmt: skip
    assert ran.code == 1
    assert "1 inconclusive" in ran.text
    assert ran.properties["test_right"]["pilothouse_outcome"] == "pass"
    assert ran.properties["test_right"]["exact_match at least 0.8"] == "pass: 1.00 [0.94, 1.00], n = 60"
    assert ran.properties["test_plain"] == {}


def test_a_failure_says_the_figure_its_interval_and_the_rows(ran: Inner) -> None:
    outcome, said = ran.cases["test_wrong"]
    assert outcome == "failure"
    assert "fail  exact_match at least 0.8  0.50 [0.37, 0.63], n = 60" in said
    assert "the whole 95 % interval lies outside" in said
    assert "rows q0, q2, q4" in said
    assert "row q0: id='q0', question='what is 0'" in said
    assert "decorator.py" not in said
    outcome, said = ran.cases["test_rows_that_must_pass"]
    assert outcome == "failure"
    assert "rows q4" in said
    assert "budget: latency_p95" in said


def test_an_inconclusive_one_says_how_many_rows_would_tell(ran: Inner) -> None:
    outcome, said = ran.cases["test_open"]
    assert outcome == "failure"
    assert "is INCONCLUSIVE" in said
    assert "of 60 rows holds the limit; about " in said
    assert "rows would tell" in said
    assert ran.properties["test_open"]["pilothouse_outcome"] == "inconclusive"


def test_what_the_users_code_raises_comes_with_its_traceback(ran: Inner) -> None:
    said = ran.cases["test_raises"][1]
    assert "fail  failed rows: at most 0" in said
    assert 'raise ValueError("no answer to " + row["id"])' in said
    assert "row q7 (1 row of 60 failed)" in said
    said = ran.cases["test_judge_raises"][1]
    assert "The evaluator broken failed on 60 rows" in said
    assert 'raise KeyError("no such judge")' in said
    assert "evaluations.py" not in said


def test_the_body_judges_what_a_file_gave(ran: Inner) -> None:
    outcome, said = ran.cases["test_body"]
    assert outcome == "failure"
    assert "assert 1.0 < 0.5" in said
    assert "<file:" in said


def test_mistakes_are_said_with_their_line(ran: Inner) -> None:
    said = ran.cases["test_unknown_word"][1]
    assert "test_qa.py:" in said
    assert "@pilothouse.evaluate has no 'gat'" in said
    assert "did you mean 'gate'?" in said
    assert "no evaluator gives a metric 'exact_mach'" in ran.cases["test_unknown_metric"][1]
    assert "Traceback" not in said
    said = ran.cases["test_no_baseline"][1]
    assert "there is no baseline 'test_qa.test_no_baseline@main'" in said
    assert "pytest --pilothouse-bless" in said


def test_pages_are_written(ran: Inner) -> None:
    page = Path(ran.properties["test_right"]["pilothouse report"])
    assert page.is_file()
    folder = page.parents[3] / "pages"
    assert (folder / "test_qa.test_wrong.md").read_text().startswith("## The gate FAILS")
    assert "<html" in (folder / "test_qa.test_wrong.html").read_text()


COMPARED = """\
import pathlib

import pilothouse as ph

HERE = pathlib.Path(__file__).parent


@ph.evaluate(
    data="data/qa.jsonl",
    evaluators=["exact_match"],
    gate={"baseline": "kept.json", "regressions": {"exact_match": {"margin": 0.1}}},
)
def test_answers(row):
    with (HERE / "calls").open("a") as calls:
        calls.write("x")
    wrong = (HERE / "wrong").read_text().split()
    return "nothing" if row["truth"] in wrong else row["truth"]


@ph.evaluate(
    data="data/qa.jsonl", evaluators="exact_match", limit=10, gate={"metrics": {"exact_match": {"at_least": 0.5}}}
)
def test_few(row):
    return row["truth"]
"""


def test_noise_passes_and_a_planted_regression_fails_against_the_blessed_baseline(inner: Any, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(COMPARED)
    wrong = tmp_path / "wrong"
    wrong.write_text("1 2 3")
    blessed = inner("--pilothouse-bless", "--pilothouse-inconclusive", "xfail")
    assert blessed.code == 0, blessed.text
    assert blessed.cases["test_few"][0] == "skipped"
    assert (tmp_path / "kept.json").is_file()
    wrong.write_text("3 4 5")
    noise = inner("-o", "pilothouse_inconclusive=pass")
    assert noise.code == 0, noise.text
    assert "only 10 rows, and the gate asks for 20" in noise.text
    wrong.write_text(" ".join(map(str, range(20, 45))))
    worse = inner("-k", "answers")
    assert worse.code == 1
    said = worse.cases["test_answers"][1]
    assert "is a loss of more than 0.1 (McNemar exact, p < 0.001)" in said
    assert "rows 20, 21, 22" in said
    calls = (tmp_path / "calls").stat().st_size
    assert calls == 180
    # Only when it is asked for are answers taken that the same source gave before: what it rests on may have changed.
    again = inner("--pilothouse-resume", "-k", "answers")
    assert again.code == 1
    assert (tmp_path / "calls").stat().st_size == calls


SMALL = """\
import pilothouse as ph


@ph.evaluate(data="data/qa.jsonl", evaluators="exact_match", gate={"metrics": {"exact_match": {"at_least": 0.5}}})
def test_answers(row):
    return row["truth"]
"""


def test_evaluations_are_deselected_by_their_marker_and_skipped_without_the_plugin(inner: Any, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SMALL)
    assert "1 deselected" in inner("-m", "not evaluation", "--strict-markers").text
    assert inner("-p", "no:pilothouse").cases["test_answers"][0] == "skipped"
    assert not (tmp_path / ".pilothouse").exists()


def test_a_run_that_has_no_evaluation_wakes_nothing() -> None:
    code = (
        "import sys; import pilothouse; pilothouse.evaluate; import pilothouse.experiments.testing.plugin;"
        "print([name for name in ('click', 'duckdb', 'msgspec', 'numpy', 'rich', 'sqlalchemy', 'yaml') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
