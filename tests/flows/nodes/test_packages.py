"""Package tools: installed functions that a flow names by id."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.flows.building import Project, run, write

from pilothouse.core.errors import FlowError, UserCodeError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes import packages
from pilothouse.flows.runner import FlowRunner

MODULE = """
    class PromptTemplate(str): ...

    def shout(text: str, times: int = 1) -> str:
        return text.upper() * times

    class Counter:
        def __init__(self, start: int):
            self.start = start
        def add(self, by: int) -> int:
            self.start += by
            return self.start

    def ask(prompt: PromptTemplate, _inputs_to_escape=None, **values):
        return [prompt, _inputs_to_escape, values]

    def no_template(text): ...

    def list_tools():
        def entry(function, kind="python", **more):
            return {"name": function, "type": kind, "module": "acme_tools", "function": function, "inputs": {}, **more}
        return {
            "acme.shout": entry("shout", deprecated_tools=["acme.old_shout"]),
            "acme.count": entry("add", class_name="Counter"),
            "acme.ask": entry("ask", "custom_llm"),
            "acme.no_template": entry("no_template", "custom_llm"),
            "acme.gone": entry("not_there"),
        }
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    site = write(
        tmp_path / "site",
        {
            "acme_tools.py": MODULE,
            "acme_tools-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme-tools\nVersion: 1.0\n",
            "acme_tools-1.0.dist-info/entry_points.txt": "[package_tools]\nacme = acme_tools:list_tools\n",
        },
    )
    monkeypatch.syspath_prepend(str(site))
    packages.offered.cache_clear()
    yield
    packages.offered.cache_clear()
    sys.modules.pop("acme_tools", None)


def node(tool: str, inputs: dict[str, object], kind: str = "python", path: str | None = None) -> dict[str, object]:
    source = {"type": "package" if path is None else "package_with_prompt", "tool": tool}
    return {"name": "n", "type": kind, "source": source if path is None else {**source, "path": path}, "inputs": inputs}


def flow(project: Project, item: dict[str, object]) -> Path:
    files = {"ask.jinja2": "user:\n{{ q }}\n"}
    return project.flow(
        [item], inputs={"q": {"type": "string", "default": "hi"}}, outputs={"o": "${n.output}"}, files=files
    )


@pytest.mark.parametrize(
    ("tool", "inputs", "expected"),
    [
        ("acme.shout", {"text": "${inputs.q}", "times": "2"}, "HIHI"),
        ("acme.old_shout", {"text": "a"}, "A"),
        ("acme.count", {"start": "5", "by": 2}, 7),
    ],
)
def test_a_function_or_method_of_a_package_runs(
    project: Project, tool: str, inputs: dict[str, object], expected: object
) -> None:
    result = run(flow(project, node(tool, inputs)))
    assert result.error is None, result.error
    assert result.outputs == {"o": expected}


def test_a_custom_llm_tool_gets_its_template_and_what_to_guard(project: Project) -> None:
    item = node("acme.ask", {"q": "${inputs.q}", "n": 1}, "custom_llm", "ask.jinja2")
    assert run(flow(project, item)).outputs["o"] == ["user:\n{{ q }}\n", ["q"], {"q": "hi", "n": 1}]


def test_a_tool_that_is_not_installed_names_the_nearest(project: Project) -> None:
    with pytest.raises(FlowError, match="no installed package offers") as caught:
        FlowRunner(load_flow(flow(project, node("acme.shot", {})))).open()
    assert "did you mean 'acme.shout'?" in str(caught.value)
    assert "flow.dag.yaml:" in str(caught.value.where)


def test_a_tool_that_cannot_be_imported_is_told(project: Project) -> None:
    with pytest.raises(UserCodeError, match=r"acme\.gone"):
        FlowRunner(load_flow(flow(project, node("acme.gone", {})))).open()


def test_a_custom_llm_tool_without_a_place_for_the_template_is_refused(project: Project) -> None:
    item = node("acme.no_template", {"text": "x"}, "custom_llm", "ask.jinja2")
    with pytest.raises(FlowError, match="takes no template"):
        FlowRunner(load_flow(flow(project, item))).open()


def test_a_package_that_cannot_list_its_tools_is_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "site" / "acme_tools.py").write_text("def list_tools(): raise RuntimeError('broken')\n")
    with pytest.raises(UserCodeError, match="tools of 'acme'"):
        FlowRunner(load_flow(flow(project, node("acme.shout", {})))).open()
