"""`PFClient`: flows tried and run over data as scripts written for prompt flow do it."""

from __future__ import annotations

import asyncio
import builtins
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pilothouse.flows.client.client import PFClient
from pilothouse.flows.client.entities import Run, load_run
from pilothouse.flows.client.functions import load_client_flow
from pilothouse.flows.promptflow import faults
from pilothouse.flows.promptflow.connections import CustomConnection, SerpConnection

MAPPING = {"question": "${data.question}"}
pytestmark = pytest.mark.usefixtures("project")


@dataclass
class Mark:
    points: int


class Grade:
    def __init__(self, points: int = 1) -> None:
        self.points = points

    def __call__(self, answer: str, team: str) -> Mark:
        return Mark(self.points if answer == team else 0)

    def __aggregate__(self, lines: list[Any]) -> dict[str, float]:
        return {"mean": sum(line.points for line in lines) / len(lines)}


def shout(question: str) -> str:
    return question.upper()


@pytest.fixture
def client() -> PFClient:
    return PFClient()


@pytest.fixture
def first(client: PFClient, project: Path) -> Run:
    return client.run("flow", data="rows.jsonl", column_mapping=MAPPING, name="first", tags={"a": "b"})


@pytest.mark.parametrize(
    ("flow", "given", "expected"),
    [
        ("flow", {"inputs": {"question": "my parcel"}}, {"team": "shipping!"}),
        ("flow", {"inputs": {}, "variant": "${ask.other}"}, {"team": "other!"}),
        ("flow", {"node": "route", "inputs": {"ask.output": "a", "inputs.question": "q"}}, "a!"),
        ("flow", {"environment_variables": {"SHIM_TEST_SUFFIX": "#"}}, {"team": "shipping!#"}),
        ("ask.prompty", {"inputs": {"question": "parcel"}}, "shipping"),
        ("ask.prompty", {}, "shipping"),
        (shout, {"inputs": {"question": "a"}}, "A"),
        (Grade, {"inputs": {"answer": "a", "team": "a"}, "init": {"points": "3"}}, {"points": 3}),
        (Grade(4), {"inputs": {"answer": "a", "team": "a"}}, {"points": 4}),
    ],
)
def test_a_flow_is_tried(client: PFClient, flow: Any, given: dict[str, Any], expected: Any,
                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("SHIM_TEST_SUFFIX", "")
    assert client.test(flow, **given) == expected


def test_outputs_of_a_class_have_attributes(client: PFClient) -> None:
    assert client.test(Grade(2), inputs={"answer": "a", "team": "a"}).points == 2


def test_inputs_stand_in_a_file(client: PFClient) -> None:
    Path("in.json").write_text('{"question": "my parcel"}')
    Path("in.jsonl").write_text('{"question": "hello"}\n{"question": "my parcel"}\n')
    assert client.test("flow", inputs="in.json") == {"team": "shipping!"}
    assert client.test("flow", inputs=Path("in.jsonl")) == {"team": "other!"}
    for name, text in {"in.txt": "{}", "none.json": None, "list.json": "[1]", "bad.json": "{"}.items():
        if text is not None:
            Path(name).write_text(text)
        with pytest.raises(faults.UserErrorException, match=name):
            client.test("flow", inputs=name)


@pytest.mark.parametrize(
    ("flow", "given", "says"),
    [
        ("nowhere", {}, "does not exist"),
        (None, {}, "flow is required"),
        ("flow", {"inputs": {"question": "bad"}}, "in node 'route': ValueError: a bad row"),
        ("flow", {"variant": "${ask.none}"}, "none"),
        ("flow", {"node": "none"}, "no node 'none'"),
        (Grade, {"inputs": {}, "init": {"point": 1}}, "did you mean 'points'"),
        ("none:f", {}, "module 'none'"),
    ],
)
def test_a_flow_that_fails_raises_prompt_flows_error(
    client: PFClient, flow: Any, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(faults.UserErrorException, match=says.replace("$", "\\$")):
        client.test(flow, **given)


def test_a_run_tells_the_truth_and_does_not_raise(client: PFClient, first: Run) -> None:
    assert (first.name, first.status, first.display_name, first.tags) == (
        "first",
        "CompletedWithErrors",
        "first",
        {"a": "b"},
    )
    assert (first.properties["completed"], first.properties["failed"]) == (2, 1)
    assert first.properties["system_metrics"]["total_tokens"] > 0
    assert Path(first.properties["output_path"]).is_dir()
    assert first._to_dict()["error"]["message"].startswith("1 of 3 rows failed; row 1:")
    assert client.get_metrics(first) == client.get_metrics("first") == first.metrics == {"teams": 2.0}
    assert first.created_on
    assert first.end_time is not None
    assert "first" in repr(first)


def test_details_are_a_frame_with_prompt_flows_columns(client: PFClient, first: Run) -> None:
    frame = client.get_details(first)
    assert list(frame.columns) == ["inputs.question", "inputs.line_number", "outputs.team"]
    assert frame["outputs.team"].tolist() == ["shipping!", "(Failed)", "other!"]
    assert frame["inputs.line_number"].tolist() == [0, 1, 2]
    assert len(client.get_details("first", max_results=1)) == 1
    assert len(client.get_details("first", max_results=1, all_results=True)) == 3
    for wrong in (0, -1, "1"):
        with pytest.raises(faults.RunOperationParameterError):
            client.get_details("first", max_results=wrong)  # type: ignore[arg-type]


def test_without_pandas_the_error_says_what_to_install(
    client: PFClient, first: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(faults.UserErrorException, match=r"pilothouse\[promptflow\]"):
        client.get_details(first)


def test_an_evaluation_is_a_class_over_a_run(client: PFClient, first: Run) -> None:
    mapping = {"answer": "${run.outputs.team}", "team": "${data.team}"}
    for flow, init, mean in ((Grade, {"points": 2}, 1.0), (Grade(4), None, 2.0)):
        made = client.run(flow, data="rows.jsonl", run=first, column_mapping=mapping, init=init)
        assert made.status == "CompletedWithErrors"
        assert made.properties["missing"] == 1
        assert client.get_metrics(made) == {"mean": mean}
        assert made.run == "first" or made.properties["run"]


def test_functions_and_entries_are_run(client: PFClient, project: Path) -> None:
    assert client.run(shout, data="rows.jsonl").status == "Completed"
    (project / "text.jsonl").write_text('{"text": "a b"}\n')
    made = client.run("words:count", code="code", data="text.jsonl")
    assert client.get_details(made)["outputs.output"].tolist() == [2]
    assert client.run("ask.prompty", data="rows.jsonl").status == "Completed"
    assert client.run(load_client_flow("ask.prompty"), data="rows.jsonl").status == "Completed"


def test_a_run_is_resumed_as_a_new_run(client: PFClient, first: Run, project: Path) -> None:
    made = client.run(resume_from=first, name="second", tags={"c": "d"})
    assert (made.name, made.status, made.tags) == ("second", "CompletedWithErrors", {"c": "d"})
    with pytest.raises(ValueError, match="'resume_from' is not supported to be used with: data"):
        client.run(resume_from=first, data="rows.jsonl")
    with pytest.raises(faults.UserErrorException, match="stands in no file"):
        client.run(resume_from=client.run(shout, data="rows.jsonl"))
    with pytest.raises(faults.RunNotFoundError):
        client.run(resume_from="none-such")


def test_runs_are_kept(client: PFClient, first: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.runs.get("first").status == "CompletedWithErrors"
    assert client.runs.update(first, display_name="D", description="d").display_name == "D"
    client.runs.archive(first)
    assert client.runs.list() == []
    assert [run.name for run in client.runs.list(list_view_type="ArchivedOnly")] == ["first"]
    assert [run.name for run in client.runs.list(list_view_type="All")] == ["first"]
    client.runs.restore("first")
    assert [run.name for run in client.runs.list(max_results=1)] == ["first"]
    assert client.runs.cancel(first).status == "CompletedWithErrors"
    with pytest.raises(faults.UserErrorException, match="ActiveOnly"):
        client.runs.list(list_view_type="None")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert "first" in client.visualize(first, html_path=project / "page.html").read_text()
    assert opened == []
    client.visualize(["first"])
    assert opened[0].startswith("file:")
    assert (project / "out" / "flow_outputs").exists() or client.runs.export(first, project / "out")
    client.runs.delete(first)
    for verb in (client.runs.get, client.runs.stream, client.runs.delete, client.runs.archive, client.get_details):
        with pytest.raises(faults.RunNotFoundError):
            verb("first")  # type: ignore[operator]


def test_the_end_of_a_run_is_printed(client: PFClient, first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert client.stream(first).name == "first"
    said = capsys.readouterr().out
    assert 'Run status: "CompletedWithErrors"' in said
    assert "a bad row" in said
    Path("bad.jsonl").write_text('{"question": "bad"}\n')
    failed = client.run("flow", data="bad.jsonl", column_mapping=MAPPING, stream=True)
    assert failed.status == "Failed"
    with pytest.raises(faults.InvalidRunStatusError, match="a bad row"):
        client.stream(failed)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, ValueError),
        ({"flow": "flow"}, ValueError),
        ({"flow": "flow", "data": "none.jsonl"}, FileNotFoundError),
        ({"flow": "nope", "data": "rows.jsonl"}, faults.UserErrorException),
        ({"flow": "flow", "data": "rows.jsonl", "name": "first"}, faults.RunExistsError),
        ({"flow": "flow", "run": "none-such"}, faults.UserErrorException),
        ({"flow": "flow", "data": "rows.jsonl", "colunm_mapping": {}}, faults.UserErrorException),
        (
            {"flow": "flow", "data": "rows.jsonl", "connections": {"ask": {"connection": SerpConnection("k")}}},
            faults.UserErrorException,
        ),
    ],
)
@pytest.mark.usefixtures("first")
def test_what_cannot_be_run_raises(client: PFClient, given: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        client.run(**given)


def test_a_run_may_be_made_of_a_file(client: PFClient, project: Path) -> None:
    (project / "runs").mkdir()
    (project / "runs/run.yml").write_text(
        "$schema: x\nflow: ../flow\ndata: ../rows.jsonl\ncolumn_mapping:\n  question: ${data.question}\n"
    )
    asked = load_run("runs/run.yml", params_override=[{"name": "filed", "display_name": "F"}])
    assert asked.status == "NotStarted"
    made = client.runs.create_or_update(asked, stream=True)
    assert (made.name, made.display_name) == ("filed", "F")
    (project / "runs/list.yml").write_text("- 1\n")
    for name in ("none.yml", "list.yml"):
        with pytest.raises(faults.UserErrorException):
            load_run(project / "runs" / name)


def test_it_works_inside_an_event_loop(client: PFClient) -> None:
    async def notebook() -> tuple[Any, str]:
        return client.test("flow", inputs={}), client.run(shout, data="rows.jsonl").status

    assert asyncio.run(notebook()) == ({"team": "shipping!"}, "Completed")


def test_flows_are_checked_described_and_written(client: PFClient, project: Path) -> None:
    assert client.flows.validate("flow").passed
    (project / "broken").mkdir()
    (project / "broken/flow.dag.yaml").write_text("nodes: [{name: a}]\n")
    found = client.flows.validate("broken")
    assert "flow.dag.yaml" in found.error_messages["0"]
    with pytest.raises(faults.UserErrorException):
        client.flows.validate("broken", raise_error=True)
    assert client.flows.infer_signature(Grade) == {
        "inputs": {"answer": {"type": "string"}, "team": {"type": "string"}},
        "outputs": {"points": {"type": "int"}},
        "init": {"points": {"type": "int", "default": None}},
    }
    sample = {"inputs": {"text": "a b c"}}
    words = {"inputs": {"text": {"description": "words"}}}
    client.flows.save("words:count", code="code", path="saved", sample=sample, signature=words, image="python:3.13")
    assert client.test("saved") == 3
    assert "description: words" in (project / "saved/flow.flex.yaml").read_text()
    for given, says in (
        ({"code": "code", "path": "saved"}, "is not empty"),
        ({}, "code="),
        ({"code": "code", "signature": {"inputs": {"txt": {}}}}, "did you mean 'text'"),
        ({"code": "code", "signature": {"input": {}}}, "did you mean 'inputs'"),
        ({"code": "code", "signature": {"inputs": {"text": {"kind": "x"}}}}, "has no 'kind'"),
    ):
        with pytest.raises(faults.UserErrorException, match=says):
            client.flows.save("words:count", **given)
    with pytest.raises(faults.UserErrorException, match="pilothouse flow build flow --output out"):
        client.flows.build("flow", output="out")
    with pytest.raises(faults.UserErrorException, match="pilothouse trace list"):
        client.traces.list_spans()


def test_connections_are_those_of_the_project(client: PFClient, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = client.connections.get("shop")
    assert isinstance(shop, CustomConnection)
    assert (shop.url, shop.secrets["token"]) == ("https://shop.example", "sk-very-secret-key")
    assert "sk-very" not in repr(client.connections.list())
    assert [item.name for item in client.connections.list()] == ["scripted", "shop"]
    made = SerpConnection("serp-very-secret", name="serp")
    with pytest.raises(faults.UserErrorException, match="SERP_API_KEY"):
        client.connections.create_or_update(made)
    assert not (project / "connections/serp.yaml").exists()
    monkeypatch.setenv("SERP_API_KEY", "serp-very-secret")
    client.connections.create_or_update(made)
    client.connections.create_or_update(made)
    assert "serp-very-secret" not in (project / "connections/serp.yaml").read_text()
    assert client.connections.get("serp").api_key == "serp-very-secret"
    with pytest.raises(faults.UserErrorException, match="exists"):
        client.connections.create_or_update(SerpConnection("serp-very-secret", "http://other", name="serp"))
    with pytest.raises(faults.UserErrorException, match="needs a name"):
        client.connections.create_or_update(SerpConnection("x"))
    client.connections.delete("serp")
    for verb in (client.connections.get, client.connections.delete):
        with pytest.raises(faults.ConnectionNotFoundError):
            verb("serp")
    with pytest.raises(faults.UserErrorException, match="always there"):
        client.connections.delete("local")
    monkeypatch.delenv("SHOP_SECRET")
    assert [item.name for item in client.connections.list()] == ["scripted"]
