"""`pilothouse judge`: from recorded verdicts or asked now, bound to a version, shown wherever the judge speaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import ConfigError, Conflict, DataError, NotFound
from pilothouse.experiments.calibration.commands.commands import judge

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


@pytest.fixture
def call(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(project.root)
    project.write("connections/judge.yaml", "name: judge\ntype: scripted\nscript: verdicts.yaml\nmodel: tiny\n")
    project.write("verdicts.yaml", VERDICTS)
    project.edit("experiment.yaml", "primary:", f"{JUDGED}primary:")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(judge, list(arguments), obj=project.services, standalone_mode=False)

    return run


def labels(project: Any, rows: int = 40) -> None:
    """People say spam of prizes and tricky offers, as the judge does; of every tenth row they say the contrary."""
    kinds = ("no", "yes", "yes", "no")
    said = [("yes" if kinds[n % 4] == "no" else "no") if n % 10 == 9 else kinds[n % 4] for n in range(rows)]
    project.write("labels.csv", "id,label\n" + "".join(f"{n},{word}\n" for n, word in enumerate(said)))


def told(result: Result) -> dict[str, Any]:
    assert result.exception is None, result.exception
    return json.loads(result.stdout)["calibration"]


def test_recorded_verdicts_are_calibrated_without_a_call(project: Any, call: Any) -> None:
    before = project.run().comparison
    assert "spam is a judge's opinion; uncalibrated." in before.notes
    labels(project)
    found = told(call("calibrate", "sms", "--labels", "labels.csv", "--judge", "spam", "--json"))
    assert (found["n"], found["without_verdict"], found["unknown"]) == (30, {"unparsable": 10}, 0)
    assert found["agreement"]["hits"] == 28
    after = project.run().comparison
    assert any(note.startswith("spam is a judge's opinion; calibrated: kappa 0.8") for note in after.notes)
    assert any("zero: spam corrected for the judge's errors is 0." in note for note in after.notes)
    listed = call("list")
    assert "spam" in listed.stdout
    assert "calibrated: kappa" in listed.stdout


def test_another_prompt_is_uncalibrated_again(project: Any, call: Any) -> None:
    project.run()
    labels(project)
    assert call("calibrate", "sms", "--labels", "labels.csv").exception is None
    project.edit("experiment.yaml", "Is it spam?", "Is it advertising?")
    assert "spam is a judge's opinion; uncalibrated." in project.run().comparison.notes
    project.edit("experiment.yaml", "Is it advertising?", "Is it spam?")
    assert "spam is a judge's opinion; uncalibrated." not in project.run().comparison.notes


def test_a_changed_connection_is_another_judge_than_was_recorded(project: Any, call: Any) -> None:
    project.run()
    labels(project)
    project.edit("connections/judge.yaml", "model: tiny", "model: huge")
    result = call("calibrate", "sms", "--labels", "labels.csv")
    assert isinstance(result.exception, Conflict)
    assert "run the experiment again" in str(result.exception)


def test_a_file_of_labels_is_judged_now_and_split(project: Any, call: Any) -> None:
    rows = [("prize" if n % 2 else "hello", "spam" if n % 2 else "ham") for n in range(80)]
    project.write(
        "mine.csv", "id,text,label\n" + "".join(f"m{n},{text} {n},{label}\n" for n, (text, label) in enumerate(rows))
    )
    every = ("calibrate", "experiment.yaml", "--labels", "mine.csv", "--yes", "spam")
    assert told(call(*every, "--json"))["n"] == 80
    sizes = {}
    for side in ((), ("--dev",)):
        found = call(*every, "--split", "0.5", *side, "--json")
        sizes[side] = told(found)["n"]
        assert (json.loads(found.stdout)["ref"] is None) == bool(side)
    assert sum(sizes.values()) == 80
    assert min(sizes.values()) > 25


def test_tuning_shows_disagreements_and_keeps_nothing(project: Any, call: Any) -> None:
    project.run()
    labels(project)
    result = call("calibrate", "sms", "--labels", "labels.csv", "--split", "0.99", "--dev")
    assert result.exception is None
    assert "people say no, the judge yes: it sells" in result.stdout
    assert "Not kept" in result.stdout
    assert json.loads(call("list", "--json").stdout) == []
    tested = call("calibrate", "sms", "--labels", "labels.csv")
    assert "people say no, the judge" not in tested.stdout
    assert "too few rows are labelled yes" in tested.stdout


def test_what_the_judge_was_shown_as_an_example_does_not_measure_it(project: Any, call: Any) -> None:
    example = "{material: {message: a prize, label: spam}, verdict: true, reason: it sells}"
    project.edit("experiment.yaml", "connection: judge}", f"connection: judge, examples: [{example}]}}")
    project.write("mine.csv", "id,message,label,kind\n1,a prize,spam,yes\n2,a prize,ham,yes\n3,hello,ham,no\n")
    found = told(call("calibrate", "experiment.yaml", "--labels", "mine.csv", "--label-column", "kind", "--json"))
    assert found["n"] == 2
    assert found["notes"][0] == "left out, for the judge was shown them as examples: 1 of 3 labelled rows"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("nothing", "--labels", "labels.csv"), NotFound, "nothing"),
        (("sms", "--labels", "gone.csv"), Exception, "gone.csv"),
        (("sms", "--labels", "labels.csv", "--judge", "spa"), NotFound, "spam"),
        (("sms", "--labels", "labels.csv", "--judge", "label"), ConfigError, "rubric"),
        (("sms", "--labels", "labels.csv", "--variant", "five"), NotFound, "no variant 'five'"),
        (("sms", "--labels", "other.csv"), DataError, "no labelled row has a verdict"),
        (("sms", "--labels", "wrong.csv"), DataError, "'ham' is no verdict"),
        (("experiment.yaml", "--labels", "labels.csv"), DataError, "do not say what 'message' was"),
        (("sms", "--labels", "labels.csv", "--dev"), Exception, "needs --split"),
    ],
)
def test_mistakes_are_answered(
    project: Any, call: Any, arguments: tuple[str, ...], kind: type[Exception], message: str
) -> None:
    project.run()
    labels(project)
    project.write("other.csv", "id,label\nx,yes\n")
    project.write("wrong.csv", "id,label\n1,ham\n")
    result = call("calibrate", *arguments)
    assert isinstance(result.exception, kind)
    assert message in str(result.exception)


def test_the_evidence_says_what_the_judge_was_worth(project: Any, call: Any, tmp_path: Path) -> None:
    project.run()
    labels(project)
    assert call("calibrate", "sms", "--labels", "labels.csv").exception is None
    project.data([("a prize for you", "spam")])
    project.run()
    newest = max(project.root.rglob("scores/spam-*.jsonl"), key=lambda path: path.stat().st_mtime)
    assert '"calibration":"calibrated: kappa' in newest.read_text()
