"""Templates: prompt flow's Jinja, in the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.flows.building import Project, prompt, run

from pilothouse.core.errors import FlowError
from pilothouse.flows.prompts.templates import Template, read_template
from pilothouse.flows.settings import FlowSettings

PLACE = Path("ask.jinja2")


def render(text: str, **values: Any) -> str:
    return Template(text, PLACE).render(values)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("{{ a }}", {"a": 1}, "1"),
        ("a\n", {}, "a\n"),
        ("{% if a %}\nyes\n{% endif %}\nend", {"a": 1}, "yes\nend"),
        ("  {% if a %}\nx{% endif %}", {"a": 1}, "  x"),
        ("[{{ missing }}]", {}, "[]"),
        ("{% for i in items %}{{ i }},{% endfor %}", {"items": [1, 2]}, "1,2,"),
        ("{{ a.b.c }}", {"a": {"b": {"c": 3}}}, "3"),
        ("{{ a }}", {"a": None}, "None"),
        ("{{ a | upper }} {{ b | length }}", {"a": "x", "b": [1]}, "X 1"),
        ("{{ a | tojson }}", {"a": {"k": "ü"}}, '{"k": "\\u00fc"}'),
        ("{{ a }}", {"a": "<b>&</b>"}, "<b>&</b>"),
        ("{% raw %}{{ a }}{% endraw %}", {"a": 1}, "{{ a }}"),
        ("{# nothing #}x", {}, "x"),
        ("{{ a }}", {"a": "{{ b }}"}, "{{ b }}"),
        ("{% set x = 1 %}{{ x }}", {}, "1"),
        ("{{ self_ }}", {"self_": 1}, "1"),
    ],
)
def test_a_template_is_rendered_as_prompt_flow_does(text: str, values: dict[str, Any], expected: str) -> None:
    assert render(text, **values) == expected


def test_the_names_a_template_reads_are_known() -> None:
    text = "{{ b }} {% for item in items %}{{ item.x }} {{ a }}{% endfor %} {% set own = 1 %}{{ own }} ![image]({{ picture }})"
    template = Template(text, PLACE)
    assert set(template.variables) == {"a", "b", "items", "picture"}
    assert template.variables[0] == "b"
    assert template.images == {"picture"}


def test_an_image_stands_on_a_line_of_its_own() -> None:
    assert render("look: ![image]({{ x }}) nice", x="PIC") == "look: \nPIC\n nice"
    assert render("![ image ]({{x}})", x="PIC") == "\nPIC\n"
    assert render("![photo]({{ x }})", x="PIC") == "![photo](PIC)"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ a.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ range(100000000) | list | length }}",
    ],
)
def test_the_sandbox_keeps_templates_from_python(text: str) -> None:
    with pytest.raises(FlowError):
        render(text, a=Path)


def test_the_sandbox_can_be_left(project: Project) -> None:
    path = project.flow([prompt("p")], outputs={"o": "${p.output}"}, files={"p.jinja2": "{{ ''.__class__.__name__ }}"})
    assert run(path).status == "failed"
    assert run(path, settings=FlowSettings(sandbox=False)).outputs == {"o": "str"}


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("one\ntwo {{ a.b.c }}", {"a": {}}, "ask.jinja2:2"),
        ("one\n\n{{ 1 / a }}", {"a": 0}, "ask.jinja2:3"),
        ("{{ a() }}", {"a": 1}, "ask.jinja2:1"),
        ("{% include 'other' %}", {}, "no loader"),
        ("{{ a | nothing }}", {"a": 1}, "No filter named 'nothing'"),
    ],
)
def test_what_a_template_raises_is_told_with_its_line(text: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(FlowError, match="template") as caught:
        render(text, **values)
    assert message in str(caught.value)


def test_an_object_that_raises_while_it_is_printed_is_a_failure_of_the_template() -> None:
    class Loud:
        def __str__(self) -> str:
            raise KeyError("no text")

    with pytest.raises(FlowError, match="KeyError"):
        render("{{ a }}", a=Loud())


def test_files_may_begin_with_a_mark_and_end_lines_as_windows_does(tmp_path: Path) -> None:
    path = tmp_path / "a.jinja2"
    path.write_bytes(b"\xef\xbb\xbfsystem:\r\nhi\r\n")
    assert read_template(path).render({}) == "system:\nhi\n"


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jinja2"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(FlowError, match="not UTF-8"):
        read_template(path)
