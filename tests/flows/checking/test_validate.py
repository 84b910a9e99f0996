"""`flow validate` and `flow tools`: every mistake with its place and its cure, all at once, nothing run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import FlowError, NotFound
from pilothouse.flows.commands.commands import flow
from pilothouse.flows.loader import find_flow_file, load_flow

from ..building import write
from .broken import AT_LOAD, AT_OPENING, ECHO, Broken, ask, dag, node

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(services: Any, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(services.root)

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(flow, arguments, obj=services)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def place(root: Path, broken: Broken) -> Path:
    folder = write(root / "one", broken.files)
    return next(folder.glob("*.prompty"), folder)


def told(result: Result) -> list[dict[str, Any]]:
    return json.loads(result.stdout)["flows"][0]["errors"]


def assert_complete(found: dict[str, Any], expected: Broken) -> None:
    assert expected.message in found["message"]
    assert Path(found["where"]).name == expected.where or expected.where in found["where"]
    assert found["expected"] or found["fix"] or found["traceback"]


@pytest.mark.parametrize("name", AT_LOAD)
def test_a_mistake_is_refused_at_load_with_file_line_and_cure(name: str, invoke: Invoke, services: Any) -> None:
    path = place(services.root, AT_LOAD[name])
    with pytest.raises(FlowError, match=r".") as caught:
        load_flow(find_flow_file(path))
    assert Path(str(caught.value.where)).name == AT_LOAD[name].where
    result = invoke("validate", str(path), "--json", "--static")
    assert result.exit_code == 1
    assert_complete(told(result)[0], AT_LOAD[name])
    assert len(told(result)) == 1 or name == "activate without is"


@pytest.mark.parametrize("name", AT_OPENING)
def test_what_the_environment_lacks_is_told_without_running(name: str, invoke: Invoke, services: Any) -> None:
    path = place(services.root, AT_OPENING[name])
    assert invoke("validate", str(path), "--static").exit_code == 0
    result = invoke("validate", str(path), "--json")
    assert result.exit_code == 1
    assert_complete(told(result)[0], AT_OPENING[name])
    assert len(told(result)) == 1


def test_all_mistakes_are_told_at_once(invoke: Invoke, services: Any) -> None:
    nodes = [
        node("a", typ=1),
        node("b", inputs={"value": "${x.output}"}),
        node("c", inputs={"value": "${a.output}", "vale": 2}),
        {**node("d"), "source": {"type": "package", "tool": "no.such.tool"}},
    ]
    files = dag(*nodes, inputs={"q": {"type": "strng"}}, outputs={"o": {"type": "int", "reference": "${zz.output}"}})
    write(services.root / "one", files)
    result = invoke("validate", "one", "--json")
    messages = [error["message"] for error in told(result)]
    for words in ("'typ'", "'strng'", "${x.output}", "${zz.output}", "takes no 'vale'", "no.such.tool"):
        assert sum(words in message for message in messages) == 1, (words, messages)
    assert len(messages) == 6
    text = invoke("validate", "one")
    assert "6 errors" in text.stdout
    assert text.stderr.count("error: ") == 6
    assert "did you mean 'type'?" in text.stderr


def test_no_node_is_run_and_what_imports_print_is_not_in_the_report(invoke: Invoke, services: Any) -> None:
    source = ECHO.replace("    return value", "    raise SystemExit('ran')").replace(
        "\n\n\n", "\n\nprint('noise')\n\n", 1
    )
    write(services.root / "one", {**dag(node("a")), "echo.py": source})
    result = invoke("validate", "one", "--json")
    assert json.loads(result.stdout)["valid"] is True


def test_static_imports_nothing(invoke: Invoke, services: Any) -> None:
    write(services.root / "one", {**dag(node("a")), "echo.py": "raise SystemExit('imported')\n" + ECHO})
    assert invoke("validate", "one", "--static").exit_code == 0


def test_every_flow_below_a_folder_is_checked(invoke: Invoke, services: Any) -> None:
    write(services.root / "flows/good", dag(node("a")))
    write(services.root / "flows/deep/bad", AT_LOAD["cycle"].files)
    write(
        services.root / "flows/p",
        {"ok.prompty": "---\nname: ok\nmodel: {configuration: {connection: scripted}}\n---\nuser:\nhi\n"},
    )
    result = invoke("validate", "flows", "--json")
    found = {item["name"]: item["valid"] for item in json.loads(result.stdout)["flows"]}
    assert (result.exit_code, found) == (1, {"good": True, "bad": False, "ok": True})
    assert {item["name"] for item in json.loads(invoke("validate", "--json").stdout)["flows"]} == set(found)
    named = invoke("validate", "good", "flows/good", "flows/p/ok.prompty", "--json")
    assert [item["name"] for item in json.loads(named.stdout)["flows"]] == ["good", "ok"]
    assert named.exit_code == 0


def test_a_place_without_flows_is_told(invoke: Invoke, services: Any) -> None:
    (services.root / "empty").mkdir()
    with pytest.raises(NotFound, match="no flow is in this folder, nor below it"):
        invoke("validate", "empty")
    with pytest.raises(NotFound, match="there is no flow 'nothing'"):
        invoke("validate", "nothing")


def test_a_requirement_that_is_not_installed_is_noted_with_its_line(invoke: Invoke, services: Any) -> None:
    lines = "# what it needs\nclick>=8  # here\nno-such-package-anywhere==1.0 \\\n  --hash=sha256:00\npromptflow\n-r more.txt\n"
    files = {"requirements.txt": lines, "more.txt": "another_absent.package\n-r requirements.txt\n"}
    write(services.root / "one", {**dag(node("a")), **files})
    result = invoke("validate", "one", "--json")
    notes = json.loads(result.stdout)["flows"][0]["notes"]
    assert result.exit_code == 0
    assert [Path(note.split(": ")[0]).name for note in notes] == ["requirements.txt:3", "more.txt:1"]


def test_requirements_that_do_not_exist_are_noted(invoke: Invoke, services: Any) -> None:
    write(services.root / "one", dag(node("a"), environment={"python_requirements_txt": "needs.txt"}))
    result = invoke("validate", "one", "--json")
    notes = json.loads(result.stdout)["flows"][0]["notes"]
    assert (result.exit_code, len(notes)) == (0, 1)
    assert "names 'needs.txt', which does not exist" in notes[0]


def test_a_template_whose_roles_come_from_outside_is_not_refused(services: Any) -> None:
    for template in ("{{ said }}\nuser:\nhi\n", "{% if x %}\nuser:\n{% endif %}\nhi\n", "{# x #}\n# System:\nhi\n"):
        load_flow(write(services.root / "one", ask(template)))


def test_the_tools_that_nodes_may_name_are_listed(invoke: Invoke) -> None:
    found = {item["id"]: item for item in json.loads(invoke("tools", "--json").stdout)}
    assert "temperature" in found["promptflow.tools.openai.chat"]["inputs"]
    assert "input" in found["promptflow.tools.embedding.embedding"]["inputs"]
    assert "promptflow.tools.llm.llm" in invoke("tools").stdout


def test_a_package_that_describes_its_tool_wrongly_is_found(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    described = {
        "good.tool": {
            "module": "textwrap",
            "function": "shorten",
            "inputs": {"text": {}, "width": {}},
            "release": "g 1",
        },
        "bad.tool": {"module": "textwrap", "function": "shorten", "inputs": {"txt": {}, "width": {}}, "release": "b 1"},
        "gone.tool": {"module": "textwrap", "function": "gone", "release": "g 2"},
    }
    monkeypatch.setattr("pilothouse.flows.commands.tools.offered", lambda: described)
    assert invoke("tools").exit_code == 0
    result = invoke("tools", "--check")
    assert result.exit_code == 1
    assert "bad.tool: 'shorten' needs 'text'" in result.stderr
    assert "gone.tool: it cannot be imported: AttributeError" in result.stderr
    assert "good.tool:" not in result.stderr
