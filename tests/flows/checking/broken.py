"""Flows with one deliberate mistake each: what is told of it, and where."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

ECHO = "from pilothouse import tool\n\n\n@tool\ndef echo(value):\n    return value\n"
TWO = ECHO + "\n\n@tool\ndef two(value):\n    return value\n"
PROMPTY = "---\nname: a\nmodel:\n  api: chat\n  configuration:\n    {configuration}\n---\n{text}\n"


class Broken(NamedTuple):
    """The files of a flow, where its mistake is (``name:line``), and words of the message."""

    files: dict[str, str]
    where: str
    message: str


def node(name: str, **more: Any) -> dict[str, Any]:
    """Return a python node of the file echo.py."""
    source = {"type": "code", "path": "echo.py"}
    return {"name": name, "type": "python", "source": source, "inputs": {"value": 1}, **more}


def ask(template: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, str]:
    """Return a flow of one llm node with a template."""
    source = {"type": "code", "path": "ask.jinja2"}
    given = {"model": "m", **(inputs or {})}
    made = {"name": "ask", "type": "llm", "source": source, "connection": "scripted", "inputs": given, **more}
    return {**dag(made), "ask.jinja2": template}


def dag(*nodes: dict[str, Any], **more: Any) -> dict[str, str]:
    """Return the files of a graph."""
    return {"flow.dag.yaml": yaml.safe_dump({"nodes": list(nodes), **more}, sort_keys=False), "echo.py": ECHO}


AT_LOAD = {
    "cycle": Broken(
        dag(node("a", inputs={"value": "${b.output}"}), node("b", inputs={"value": "${a.output}"})),
        "flow.dag.yaml:2",
        "in a circle: a -> b -> a",
    ),
    "a node that reads itself": Broken(dag(node("a", inputs={"value": "${a}"})), "flow.dag.yaml:2", "a -> a"),
    "unknown node": Broken(dag(node("a", inputs={"value": "${c.output}"})), "flow.dag.yaml:8", "does not exist"),
    "unknown flow input": Broken(dag(node("a", inputs={"value": "${inputs.x}"})), "flow.dag.yaml:8", "does not exist"),
    "unknown section": Broken(dag(node("a"), node("b", inputs={"value": "${a.input}"})), "flow.dag.yaml:15", "section"),
    "activate without is": Broken(dag(node("a", activate={"when": "${inputs.x}"})), "flow.dag.yaml:9", "has no 'is'"),
    "activate of a constant": Broken(dag(node("a", activate={"when": "x", "is": 1})), "flow.dag.yaml:10", "never"),
    "activate of an unknown node": Broken(
        dag(node("a", activate={"when": "${b.output}", "is": 1})), "flow.dag.yaml:10", "does not exist"
    ),
    "two tools": Broken({**dag(node("a")), "echo.py": TWO}, "echo.py:10", "2 @tool functions"),
    "no tool": Broken({**dag(node("a")), "echo.py": "def echo(value): ...\n"}, "echo.py:1", "no @tool function"),
    "no Python": Broken({**dag(node("a")), "echo.py": "x = 1\ndef echo(:\n"}, "echo.py:2", "not Python"),
    "missing file": Broken(
        dag(node("a", source={"type": "code", "path": "eco.py"})), "flow.dag.yaml:6", "does not exist"
    ),
    "unknown input of a tool": Broken(dag(node("a", inputs={"vale": 1})), "flow.dag.yaml:8", "takes no 'vale'"),
    "missing input of a tool": Broken(dag(node("a", inputs={})), "flow.dag.yaml:2", "does not give 'value'"),
    "two nodes of a name": Broken(dag(node("a"), node("a")), "flow.dag.yaml:9", "two nodes"),
    "no nodes": Broken({"flow.dag.yaml": "inputs: {}\n"}, "flow.dag.yaml:1", "no nodes"),
    "aggregation read by a line": Broken(
        dag(node("a", aggregation=True), node("b", inputs={"value": "${a.output}"})), "flow.dag.yaml:16", "aggregation"
    ),
    "empty output": Broken(dag(node("a"), outputs={"o": {"type": "int", "reference": ""}}), "flow.dag.yaml:12", "empty"),
    "unknown default variant": Broken(
        dag(
            {"name": "a", "use_variants": True},
            node_variants={"a": {"default_variant_id": "v", "variants": {"w": {"node": node("a")}}}},
        ),
        "flow.dag.yaml:6",
        "not among its variants",
    ),
    "missing include": Broken(dag(node("a"), additional_includes=["../none"]), "flow.dag.yaml:10", "does not exist"),
    "tabs": Broken({"flow.dag.yaml": "nodes:\n\t- a\n"}, "flow.dag.yaml:2", "not YAML"),
    "C#": Broken({"flow.dag.yaml": "language: csharp\n"}, "flow.dag.yaml:1", "C#"),
    "template that is none": Broken(ask("user:\n{{ x \n"), "ask.jinja2:2", "template cannot be read"),
    "variable that hides a parameter": Broken(
        ask("user:\nhi\n{{ temperature }}\n", {"temperature": 1}), "ask.jinja2:3", "name of a parameter"
    ),
    "text above the first role": Broken(
        ask("{# two\nlines #}\nBe nice.\nuser:\nhi\n"), "ask.jinja2:3", "begins with 'Be nice.'"
    ),
    "no role at all": Broken(ask("{# a #}\nhi\n"), "ask.jinja2:2", "begins with 'hi'"),
    "an answer to nothing": Broken(
        ask("{# a #}\n# function:\n## name:\nf\n## content:\n{{x}}\n"), "ask.jinja2:2", "nobody made"
    ),
    "front matter that is not YAML": Broken({"a.prompty": "---\nname: [a\n---\nuser:\nhi\n"}, "a.prompty:3", "YAML"),
    "front matter without end": Broken({"a.prompty": "---\nname: a\nuser:\nhi\n"}, "a.prompty:1", "does not end"),
    "no front matter": Broken({"a.prompty": "user:\nhi\n"}, "a.prompty:1", "begins with its front matter"),
    "unknown type of model": Broken(
        {"a.prompty": PROMPTY.format(configuration="type: azure_openia", text="user:\nhi")}, "a.prompty:6", "azure_openia"
    ),
    "prompty without a role": Broken(
        {"a.prompty": PROMPTY.format(configuration="connection: scripted", text="hi")}, "a.prompty:8", "begins with a role"
    ),
    "unknown module of an entry": Broken({"flow.flex.yaml": "name: x\nentry: work:run\n"}, "flow.flex.yaml:2", "'work'"),
    "entry without a function": Broken({"flow.flex.yaml": "entry: work\n"}, "flow.flex.yaml:1", "function or class"),
}  # fmt: skip

AT_OPENING = {
    "unknown connection": Broken(ask("user:\nhi\n", connection="nope"), "connections", "there is no connection 'nope'"),
    "unknown connection type": Broken(
        {**ask("user:\nhi\n", connection="mine"), "../connections/mine.yaml": "name: mine\ntype: open_aai\n"},
        "mine.yaml:2",
        "no connection type 'open_aai'",
    ),
    "key that is not set": Broken(
        {
            **ask("user:\nhi\n", connection="mine"),
            "../connections/mine.yaml": "type: open_ai\napi_key: ${env:A_KEY_THAT_NOBODY_HAS}\n",
        },
        "mine.yaml:2",
        "has no 'api_key'",
    ),
    "key in the clear": Broken(
        {**ask("user:\nhi\n", connection="mine"), "../connections/mine.yaml": "type: open_ai\napi_key: abcdef\n"},
        "mine.yaml:2",
        "stands in the clear",
    ),
    "unknown package tool": Broken(
        dag(node("a", source={"type": "package", "tool": "no.such.tool"})), "flow.dag.yaml:4", "no.such.tool"
    ),
    "import that fails": Broken(
        {**dag(node("a")), "echo.py": "import nothing_of_this_name\n" + ECHO}, "echo.py", "nothing_of_this_name"
    ),
    "prompty without a model": Broken(
        {"a.prompty": "---\nname: a\n---\nuser:\nhi\n"}, "a.prompty:2", "names no model"
    ),
}  # fmt: skip
