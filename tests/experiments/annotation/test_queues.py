"""Queues made of experiments, runs and data; labels that become a dataset and calibrate a judge."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import ConfigError, Conflict, DataError, NotFound, UserError
from pilothouse.datasets.service import DatasetService
from pilothouse.evaluation.annotation.service import ReviewService
from pilothouse.experiments.annotation.commands.commands import review
from pilothouse.experiments.calibration.commands.commands import judge
from pilothouse.registry.service import RegistryService

JUDGED = """\
  - name: spam
    use: judge
    options: {question: Is it spam?, connection: judge}
    column_mapping: {message: "${data.text}", label: "${run.outputs.label}"}
"""

VERDICTS = """\
- {when: odd, reply: I would rather not say.}
- {when: 'prize|tricky', reply: '{"reason": "it sells", "verdict": "yes"}'}
- {reply: '{"reason": "it is personal", "verdict": "no"}'}
"""

GATE = "gate: {variant: few, must_pass: {ids: [2, 5]}}\n"


@pytest.fixture
def call(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(project.root)
    project.write("connections/judge.yaml", "name: judge\ntype: scripted\nscript: verdicts.yaml\nmodel: tiny\n")
    project.write("verdicts.yaml", VERDICTS)
    project.edit("experiment.yaml", "primary:", f"{JUDGED}primary:")
    project.write("experiment.yaml", project.file.read_text() + GATE)
    project.run()

    def run(*arguments: str, lines: str = "", command: Any = review, fails: bool = False) -> Result:
        done = CliRunner().invoke(command, list(arguments), obj=project.services, standalone_mode=False, input=lines)
        if not fails:
            assert done.exception is None, (done.exception, done.output)
        return done

    return run


def ids(project: Any, name: str) -> list[str]:
    reviews = project.services.get(ReviewService)
    return sorted((final.item.id for final in reviews.finals(reviews.get(name))), key=int)


def test_which_rows_become_items(project: Any, call: Any) -> None:
    def made(*options: str) -> list[str]:
        made.n += 1  # type: ignore[attr-defined]
        call("create", f"q{made.n}", "--experiment", "sms", "--question", "Right?", *options)  # type: ignore[attr-defined]
        return ids(project, f"q{made.n}")  # type: ignore[attr-defined]

    made.n = 0  # type: ignore[attr-defined]
    assert made() == [str(n) for n in range(40)]
    assert made("--abstained", "spam") == [str(n) for n in range(40) if n % 4 == 3]
    assert made("--score", "spam=yes", "--score", "label=false") == [str(n) for n in range(40) if n % 4 == 2]
    assert set(made("--disagree")) == {str(n) for n in range(40) if n % 4 in {2, 3}}
    assert made("--must-pass", "--variant", "few") == ["2", "5"]
    sample = made("--sample", "7")
    assert len(sample) == 7
    assert made("--sample", "7") == sample != made("--sample", "7", "--seed", "8")
    spec = project.services.get(ReviewService).get("q2").spec
    assert (spec.choosing.filters, spec.choosing.rows, spec.choosing.kept) == (("spam gave no score",), 40, 10)


@pytest.mark.parametrize(("options", "error", "words"), [
    (["--question", "?"], ConfigError, "say what is to be labelled"),
    (["--experiment", "sms"], ConfigError, "nothing is asked"),
    (["--experiment", "sms", "--question", "?", "--failed"], DataError, "none of 40 rows fits: without an answer"),
    (["--experiment", "sms", "--question", "?", "--score", "spam"], UserError, "no condition"),
    (["--experiment", "sms", "--question", "?", "--score", "spma<1"], NotFound, "no evaluator gave a score 'spma'"),
    (["--experiment", "sms", "--question", "?", "--variant", "fw"], NotFound, "no variant 'fw'"),
    (["--experiment", "sms", "--question", "?", "--outputs", "lable"], NotFound, "no 'lable' in a row"),
    (["--experiment", "sms", "--question", "?", "--reference", "lable"], NotFound, "no column 'lable'"),
    (["--experiment", "sms", "--judge", "label"], NotFound, "no judge 'label'"),
    (["--experiment", "sms", "--judge", "spam", "--question", "?", "--level", "1=a", "--level", "2=b"], ConfigError, "another scale"),
    (["--experiment", "sms", "--question", "?", "--kind", "pairwise"], NotFound, "which variant is the candidate"),
    (["--experiment", "sms", "--question", "?", "--kind", "binary", "--against", "few"], NotFound, "which variant"),
    (["--run", "nothing", "--question", "?"], NotFound, "no run"),
    (["--data", "data/sms.csv", "--question", "?", "--disagree"], ConfigError, "only an experiment"),
])  # fmt: skip
def test_what_does_not_fit_is_said(call: Any, options: list[str], error: type[Exception], words: str) -> None:
    found = call("create", "q", *options, fails=True).exception
    assert isinstance(found, error)
    assert words in str(found)


def test_labels_of_people_calibrate_the_judge_they_share_a_question_with(project: Any, call: Any) -> None:
    call("create", "spam", "--experiment", "sms", "--judge", "spam", "--overlap", "2", "--reference", "label")
    reviews = project.services.get(ReviewService)
    queue = reviews.get("spam")
    assert queue.question.question == "Is it spam?"
    for name, wrong in (("ann", {"0"}), ("ben", {"0", "1", "2"})):
        while (task := reviews.take(queue, name)) is not None:
            right = task.item.reference["label"] == "spam"
            reviews.label(queue, name, task.place, "yes" if right is (task.item.id not in wrong) else "no")
    told = json.loads(call("agreement", "spam", "--json").stdout)
    assert (told["same"]["hits"], told["same"]["n"], told["judge"]["same"]["n"]) == (38, 40, 28)
    assert told["decisions"] == {"divided": 2, "unanimous": 38}
    printed = call("agreement", "spam").stdout
    assert "people and spam" in printed

    exported = json.loads(call("export", "spam", "--output", "labels.csv", "--json").stdout)
    assert (exported["dataset"], exported["is_new"], exported["labelled"]) == ("dataset:spam-labels:1", True, 38)
    found = json.loads(
        call("calibrate", "sms", "--labels", "labels.csv", "--judge", "spam", "--json", command=judge).stdout
    )
    calibration = found["calibration"]
    assert (calibration["n"], calibration["divided"], calibration["raters"]) == (28, 2, 2)
    assert calibration["alpha"] == pytest.approx(told["alpha"])
    assert calibration["agreement"]["hits"] == told["judge"]["same"]["hits"] == 27

    assert json.loads(call("export", "spam", "--json").stdout)["is_new"] is False
    edges = project.services.get(RegistryService).lineage("dataset/spam-labels:1", "up", depth=1)
    assert {(edge.source.split(":")[0], edge.relation) for edge in edges} >= {
        ("review/spam", "labelled_in"), ("rubric/spam", "asked_in"), ("experiment/sms", "input")
    }  # fmt: skip
    rows = list(csv.DictReader((project.root / "labels.csv").read_text().splitlines()))
    assert not {"label_ann", "label_ben"} & set(rows[0])
    assert rows[0]["rubric"] == "spam:1"
    (row,) = [row for row in project.services.get(DatasetService).open("dataset:spam-labels") if row.id == "1"]
    assert (row.data["decision"], row.data["label"], row.data["votes"], row.data["agreement"]) == ("divided", "", 2, 0)
    call("export", "spam", "--names", "--name", "named")
    named = project.services.get(DatasetService).show("named")
    assert {"label_ann", "label_ben"} <= {column.name for column in named.columns}


def test_a_run_that_changes_later_does_not_change_what_was_judged(project: Any, call: Any) -> None:
    call("create", "q", "--experiment", "sms", "--variant", "few", "--question", "Right?", "--sample", "3")
    before = project.services.get(ReviewService).get("q").digest
    seen = [
        final.item for final in project.services.get(ReviewService).finals(project.services.get(ReviewService).get("q"))
    ]
    project.edit("script.yaml", "reply: ham", "reply: spam")
    project.run(fresh=True)
    reviews = project.services.get(ReviewService)
    assert [final.item for final in reviews.finals(reviews.get("q"))] == seen
    assert reviews.get("q").digest == before


def test_a_blind_pair_from_the_first_line_to_the_verdict(project: Any, call: Any) -> None:
    call("create", "pair", "--experiment", "sms", "--variant", "few", "--question", "Which sorts it?", "--kind", "pairwise",
         "--score", "label=true")  # fmt: skip
    shown = call("label", "pair", "--as", "ann", lines="s no idea\nc a comment\n1\nu\ntie\n7\nq\n").stdout
    assert "few" not in shown
    assert "zero" not in shown
    assert "taken back" in shown
    assert "no answer to this question" in shown
    reviews = project.services.get(ReviewService)
    queue = reviews.get("pair")
    assert [label.state for label in reviews.history(queue)][:3] == ["skipped", "labelled", "withdrawn"]
    while (task := reviews.take(queue, "ben")) is not None:
        reviews.label(queue, "ben", task.place, "1")
    told = call("agreement", "pair").stdout
    assert "few" in told
    assert "answer 1 was chosen" in told


def test_the_terminal_shows_hostile_text_and_hides_nothing(project: Any, call: Any) -> None:
    project.write(
        "rows.jsonl",
        json.dumps({"id": "a", "text": "\x1b[2J\u202eevil [red]x[/red] " + "y" * 5000, "said": "z"}) + "\n",
    )
    call("create", "q", "--data", "rows.jsonl", "--outputs", "said", "--question", "Safe?", "--category", "safe",
         "--category", "unsafe=may harm")  # fmt: skip
    shown = call("label", "q", "--as", "ann", lines="m\nunsafe\n").stdout
    assert "\x1b" not in shown
    assert "<U+001B>[2J<U+202E>evil [red]x[/red]" in shown
    assert "more characters)" in shown
    assert "kept: unsafe" in shown
    assert "the queue is complete" in shown
    assert "unsafe" in call("show", "q", "--history").stdout
    assert "1/1" in call("list").stdout
    call("close", "q")
    assert isinstance(call("label", "q", fails=True).exception, Conflict)
    assert isinstance(call("label", "q", "--as", "service:ci", fails=True).exception, UserError)
    assert isinstance(call("export", "q", "--output", "x.txt", fails=True).exception, UserError)


def test_what_reviewers_differ_on_is_settled_in_the_terminal(project: Any, call: Any) -> None:
    project.write("rows.jsonl", '{"text": "one"}\n{"text": "two"}\n')
    project.write(
        "rubric.yaml", "question: How good?\nkind: ordinal\nlevels: {1: bad, 2: good}\nguidance: Be strict.\n"
    )
    call("create", "q", "--data", "rows.jsonl", "--outputs", "text", "--rubric", "rubric.yaml", "--overlap", "2")
    call("label", "q", "--as", "ann", lines="1\n1\n")
    call("label", "q", "--as", "ben", lines="c too short\n2\n1\n")
    assert "divided" in call("agreement", "q").stdout
    assert json.loads(call("show", "q", "--json").stdout)["queue"]["spec"]["question"]["levels"] == {
        "1": "bad",
        "2": "good",
    }
    told = call("adjudicate", "q", "--as", "ann", lines="q\n").stdout
    assert "one of them is you" in told
    told = call("adjudicate", "q", "--as", "eve", lines="9\n2\n").stdout
    assert "a reviewer says 2: too short" in told
    assert "1 of 1 settled" in told
    assert "nothing to settle" in call("adjudicate", "q", "--as", "eve").stdout
    assert "adjudicated 1" in call("agreement", "q").stdout
