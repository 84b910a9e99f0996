"""The environment variables that a flow's file and its Python code read."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pilothouse.core.environment import environment_names
from pilothouse.flows.building.types import FLOW, Content, Variable
from pilothouse.flows.types import Flow

_PROMPTY = {
    "azure_openai": ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"),
    "azure_open_ai": ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION"),
    "openai": ("OPENAI_API_KEY",),
    "open_ai": ("OPENAI_API_KEY",),
}
_METHODS = frozenset({"get", "pop", "setdefault"})


def flow_variables(flow: Flow, files: Mapping[str, Content]) -> tuple[Variable, ...]:
    """Return what the flow reads from the environment and does not set itself, each name once."""
    found: dict[str, Variable] = {}
    for variable in (*_of_the_file(flow), *_of_the_code(files)):
        if variable.name not in flow.environment_variables:
            found.setdefault(variable.name, variable)
    return tuple(found.values())


def _of_the_file(flow: Flow) -> Iterator[Variable]:
    values = [
        flow.environment_variables,
        *(item.value for item in (*flow.init_values.values(), *flow.init_sample.values())),
    ]
    prompty = flow.prompty
    if prompty is not None:
        values += [prompty.configuration, prompty.parameters]
        if prompty.type and not prompty.configuration:
            for name in _PROMPTY.get(prompty.type, ()):
                yield Variable(name=name, why=f"the model of {flow.path.name}")
    for value in values:
        for name in environment_names(json.dumps(value, default=str)):
            yield Variable(name=name, why=flow.path.name)


def _of_the_code(files: Mapping[str, Content]) -> Iterator[Variable]:
    for name, content in sorted(files.items()):
        if name.startswith(f"{FLOW}/") and name.endswith(".py") and isinstance(content, Path):
            try:
                module = ast.parse(content.read_bytes())
            except (SyntaxError, ValueError, OSError):
                # Not every file of a flow is imported.
                continue
            for node in ast.walk(module):
                read = _name_read(node)
                if read:
                    yield Variable(name=read, why=f"{name}:{getattr(node, 'lineno', 1)}")


def _name_read(node: ast.AST) -> str | None:
    """Return the name in ``os.environ["NAME"]``, ``os.environ.get("NAME")`` and ``os.getenv("NAME")``."""
    if isinstance(node, ast.Subscript) and _last(node.value) == "environ" and isinstance(node.ctx, ast.Load):
        return _text(node.slice)
    if not isinstance(node, ast.Call) or not node.args:
        return None
    function = node.func
    is_method = isinstance(function, ast.Attribute) and function.attr in _METHODS and _last(function.value) == "environ"
    return _text(node.args[0]) if is_method or _last(function) == "getenv" else None


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
