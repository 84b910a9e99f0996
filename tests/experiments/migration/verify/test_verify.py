"""`migrate verify` from end to end: a recorded run, the flow of today, a verdict for each row and metric."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.environment import Environment
from pilothouse.core.errors import DataError, FlowError, NotFound, UserError
from pilothouse.experiments.migration.commands import migrate
from pilothouse.experiments.runs.service import RunService
from pilothouse.workspace import Workspace

from ..recorded import books, row, run_folder

NAN = float("nan")
FLOW = """
    inputs:
      text: {type: string}
      n: {type: object, default: 7}
    outputs:
      up: {type: string, reference: "${upper.output}"}
      n: {type: object, reference: "${inputs.n}"}
    nodes:
      - name: upper
        use_variants: true
      - name: share
        type: python
        aggregation: true
        source: {type: code, path: share.py}
        inputs: {texts: "${inputs.text}", ups: "${upper.output}"}
    node_variants:
      upper:
        default_variant_id: plain
        variants:
          plain: {node: {type: python, source: {type: code, path: upper.py}, inputs: {text: "${inputs.text}"}}}
          loud: {node: {type: python, source: {type: code, path: upper.py}, inputs: {text: "${inputs.text}", end: "!"}}}
"""
UPPER = """
    from pilothouse import tool

    @tool
    def upper(text: str, end: str = "") -> str:
        if text == "bad":
            raise ValueError("a bad row")
        return text.upper() + end
"""
SHARE = """
    from pilothouse import log_metric, tool

    @tool
    def share(texts: list, ups: list) -> None:
        log_metric("share", sum(a.upper() == b for a, b in zip(texts, ups)) / len(ups))
"""
CHAT = """
    inputs: {question: {type: string}}
    outputs: {said: {type: string, reference: "${shout.output}"}}
    nodes:
      - name: ask
        type: llm
        source: {type: code, path: ask.jinja2}
        connection: nowhere
        api: chat
        inputs: {model: gpt, temperature: 0, question: "${inputs.question}"}
      - {name: shout, type: python, source: {type: code, path: shout.py}, inputs: {text: "${ask.output}"}}
"""
SHOUT = """
    from pilothouse import tool

    @tool
    def shout(text: str) -> str:
        return text.upper()
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Workspace]:
    write(
        tmp_path,
        {
            "flow/flow.dag.yaml": FLOW,
            "flow/upper.py": UPPER,
            "flow/share.py": SHARE,
            "chat/flow.dag.yaml": CHAT,
            "chat/ask.jinja2": "user:\n{{question}}\n",
            "chat/shout.py": SHOUT,
        },
    )
    environment = Environment({"PF_HOME_DIRECTORY": str(tmp_path / "home")})
    with Workspace(tmp_path, environment=environment) as workspace:
        yield workspace


def call(project: Workspace, flow: str, against: str, *more: str, catch: bool = True) -> Result:
    words = ["verify", str(project.root / flow), "--against", against, *more]
    return CliRunner().invoke(migrate, words, obj=project, catch_exceptions=catch)


def told(project: Workspace, flow: str, against: str, *more: str) -> dict[str, Any]:
    result = call(project, flow, against, "--json", *more, catch=False)
    return {"exit": result.exit_code, **json.loads(result.stdout)}


def upper_row(number: int, text: str, n: Any = 7, up: str | None = None) -> dict[str, Any]:
    up = up if up is not None else text.upper()
    return row(number, {"text": text, "n": n}, {"up": up, "n": n}, nodes={"upper": ({"text": text}, up)})


def in_home(project: Workspace, name: str, rows: list[dict[str, Any]], *, metrics: Any = None, **more: Any) -> str:
    run_folder(project.root / "home" / ".runs" / name, rows, metrics=metrics, aggregation=more.pop("aggregation", {}))
    books(project.root / "home", {"name": name, **more})
    return name


def test_an_equal_run_ends_with_0_and_is_a_run_of_ours(project: Workspace) -> None:
    rows = [upper_row(0, "a"), row(1, {"text": "bad", "n": 7}, error="a bad row"), upper_row(3, "c")]
    name = in_home(project, "old", rows, metrics={"share": 1.0})
    result = call(project, "flow", name, catch=False)
    assert result.exit_code == 0, result.output
    assert "equal: every row and every metric" in result.stdout
    assert "2 equal, 1 failed in both" in result.stdout
    assert "left out row 2" in result.stdout.replace("\n", " ")
    run = project.get(RunService).get("verify-old")
    assert (run.counts.completed, run.counts.failed, run.spec.tags) == (2, 1, {"verifies": "old"})
    assert run.metrics == {"share": 1.0}


def test_a_second_replay_has_a_name_of_its_own(project: Workspace) -> None:
    name = in_home(project, "old", [upper_row(0, "a")], metrics={"share": 1.0})
    assert told(project, "flow", name)["run"] == "verify-old"
    assert told(project, "flow", name)["run"] == "verify-old-2"


def test_each_kind_of_difference_has_its_verdict(project: Workspace) -> None:
    rows = [
        upper_row(0, "a", up="Z"),
        upper_row(1, "bad", up="BAD"),
        row(2, {"text": "c", "n": 7}, error="a timeout"),
        upper_row(3, "d"),
    ]
    found = told(project, "flow", in_home(project, "old", rows, metrics={"share": 0.5, "old": 1}))
    assert found["exit"] == 1
    assert [item["verdict"] for item in found["rows"]] == ["differs", "failed here", "failed there", "equal"]
    first = found["rows"][0]
    assert (first["node"], first["differences"]) == (
        "upper",
        [{"path": "$.up", "there": '"Z"', "here": '"A"', "alike": False}],
    )
    assert found["rows"][1]["here"] == "a bad row"
    assert {item["name"]: item["verdict"] for item in found["metrics"]} == {"share": "differs", "old": "missing here"}
    assert (found["agreement"]["agreed"], found["agreement"]["compared"]) == (1, 2)
    low, high = found["agreement"]["interval"]["low"], found["agreement"]["interval"]["high"]
    assert 0 < low < 0.5 < high < 1


def test_the_screen_is_80_columns_wide_and_shows_hostile_text_as_text(project: Workspace) -> None:
    rows = [upper_row(0, "a", up="\x1b[2J" + "wide " * 40)]
    result = call(project, "flow", in_home(project, "old", rows))
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "differs: 1 of 1 rows" in result.stdout


def test_data_that_prompt_flow_retyped_is_said_and_may_be_allowed(project: Workspace) -> None:
    name = in_home(project, "old", [upper_row(0, "a", 1.0), upper_row(1, "b", NAN)], metrics={"share": 1.0})
    found = told(project, "flow", name)
    assert found["exit"] == 1
    assert "explanation" not in found["rows"][0]
    assert "NaN, which prompt flow's reader makes of null" in found["rows"][1]["explanation"]
    assert any("whole numbers beside null" in note for note in found["notes"])
    assert call(project, "flow", name, "--allow-explained").exit_code == 0


def test_the_data_itself_can_be_replayed(project: Workspace) -> None:
    (project.root / "rows.jsonl").write_text('{"t": "a", "n": 1}\n{"t": "b"}\n{"t": "c", "n": 3}\n')
    rows = [upper_row(0, "a", 1.0), upper_row(1, "b", NAN)]
    mapping = {"column_mapping": {"text": "${data.t}", "n": "${data.n}"}}
    name = in_home(project, "old", rows, properties=mapping)
    found = told(project, "flow", name, "--data", str(project.root / "rows.jsonl"))
    assert [item["verdict"] for item in found["rows"]] == ["equal", "differs", "missing there"]
    # The default applies here, because the key is absent.
    assert found["rows"][1]["differences"][0]["here"] == "7"
    assert "explanation" in found["rows"][1]
    other = told(project, "flow", name, "--data", str(project.root / "rows.jsonl"), "-m", "n=${data.t}")
    assert other["rows"][0]["verdict"] == "differs"


def test_a_metric_of_rows_paired_wrongly_is_said(project: Workspace) -> None:
    lists = {"texts": ["a", "b", "c"], "ups": ["B", "C", "A"]}
    name = in_home(
        project,
        "old",
        [upper_row(0, "a"), upper_row(1, "b"), upper_row(2, "c")],
        metrics={"share": 0.0},
        aggregation={"share": (lists, None)},
        properties={"resume_from": "older"},
    )
    found = told(project, "flow", name, "--allow-explained")
    assert found["exit"] == 0
    metric = found["metrics"][0]
    assert (metric["there"], metric["here"], metric["verdict"]) == (0.0, 1.0, "differs")
    assert "paired rows wrongly in node 'share'" in metric["explanation"]


def test_the_recorded_variant_is_run_unless_another_is_named(project: Workspace) -> None:
    name = in_home(project, "old", [upper_row(0, "a", up="A!")], properties={"node_variant": "${upper.loud}"})
    assert told(project, "flow", name)["rows"][0]["verdict"] == "equal"
    assert told(project, "flow", name, "--variant", "${upper.plain}")["rows"][0]["verdict"] == "differs"


def test_a_variant_that_is_gone_is_told(project: Workspace) -> None:
    name = in_home(project, "old", [upper_row(0, "a")], properties={"node_variant": "${upper.gone}"})
    with pytest.raises(FlowError, match=r"recorded run used the variant \$\{upper.gone\}"):
        call(project, "flow", name, catch=False)


def chat_run(project: Workspace, question: str = "why") -> str:
    rows = [
        row(
            0,
            {"question": "why"},
            {"said": "BECAUSE"},
            nodes={
                "ask": (
                    {"model": "gpt", "temperature": 0.0, "question": question, "_inputs_to_escape": ["question"]},
                    "because",
                ),
                "shout": ({"text": "because"}, "BECAUSE"),
            },
        ),
        row(1, {"question": "when"}, error="too many requests"),
    ]
    return in_home(project, "chat1", rows)


def test_models_are_answered_from_the_record_without_a_connection(project: Workspace) -> None:
    found = told(project, "chat", chat_run(project), "--replay-models")
    assert (found["exit"], found["replayed"], found["asked"]) == (0, ["ask"], [])
    assert [item["verdict"] for item in found["rows"]] == ["equal", "failed in both"]
    assert "no answer of node 'ask'" in found["rows"][1]["here"]


def test_a_model_that_is_given_something_else_differs_though_the_answer_is_the_record_s(project: Workspace) -> None:
    found = told(project, "chat", chat_run(project, question="why not"), "--replay-models")
    assert found["exit"] == 1
    difference = found["rows"][0]["differences"][0]
    assert (difference["path"], difference["there"]) == ("node ask, input question", '"why not"')


def test_code_behind_a_model_is_compared(project: Workspace) -> None:
    name = chat_run(project)
    write(project.root, {"chat/shout.py": SHOUT.replace("text.upper()", "text.title()")})
    found = told(project, "chat", name, "--replay-models")
    assert (found["rows"][0]["node"], found["rows"][0]["differences"][0]["here"]) == ("shout", '"Because"')
    assert told(project, "chat", name, "--replay-models", "--replay-node", "shout")["exit"] == 0


def test_a_model_that_was_asked_is_named_with_the_difference(project: Workspace) -> None:
    write(
        project.root,
        {
            "connections/nowhere.yaml": "name: nowhere\ntype: scripted\nscript: answers.yaml\n",
            "answers.yaml": "- reply: otherwise\n",
        },
    )
    result = call(project, "chat", chat_run(project), catch=False)
    assert result.exit_code == 1
    assert "differs (by ask)" in result.stdout
    assert "--replay-models" in result.stdout.replace("\n", " ")


def test_a_run_of_ours_can_be_verified_against(project: Workspace) -> None:
    name = in_home(project, "old", [upper_row(0, "a")], metrics={"share": 1.0})
    told(project, "flow", name)
    (project.root / "flow" / "upper.py").write_text(dedent(UPPER).replace("text.upper()", "text"))
    found = told(project, "flow", "verify-old")
    assert (found["made_by"], found["rows"][0]["verdict"], found["metrics"][0]["verdict"]) == (
        "pilothouse",
        "differs",
        "differs",
    )


def test_files_that_changed_since_are_named(project: Workspace) -> None:
    name = in_home(project, "old", [upper_row(0, "a")])
    write(project.root, {"home/.runs/old/snapshot/upper.py": UPPER, "home/.runs/old/snapshot/share.py": "# other\n"})
    assert "changed since the recorded run: share.py" in told(project, "flow", name)["notes"]


def test_wrong_usage_is_told_before_anything_is_run(project: Workspace) -> None:
    name = in_home(project, "old", [upper_row(0, "a")])
    with pytest.raises(NotFound, match="no recorded run 'odl'") as caught:
        call(project, "flow", "odl", catch=False)
    assert "did you mean 'old'?" in str(caught.value)
    with pytest.raises(NotFound, match="no node 'uper'"):
        call(project, "flow", name, "--replay-node", "uper", catch=False)
    with pytest.raises(DataError, match="no input 'question'"):
        call(project, "chat", name, catch=False)
    with pytest.raises(UserError, match="needs --data"):
        call(project, "flow", name, "-m", "text=${data.x}", catch=False)
    assert call(project, "flow", name, "--similar", "2").exit_code == 2
    assert project.get(RunService).list() == []


def test_a_judged_run_is_replayed_from_its_inputs_not_from_data(project: Workspace) -> None:
    mapping = {"column_mapping": {"text": "${run.outputs.up}"}, "run": "older"}
    name = in_home(project, "old", [upper_row(1, "a")], properties=mapping)
    found = told(project, "flow", name)
    assert found["rows"][0]["verdict"] == "equal"
    assert any("drops rows of 'older'" in note for note in found["notes"])
    with pytest.raises(DataError, match="outputs of another run"):
        call(project, "flow", name, "--data", "rows.jsonl", catch=False)
