"""What a Python file tells without being run: whether it parses, and which modules it wants."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from pilothouse.core.errors import FlowError
from pilothouse.experiments.migration.checks.modules import azure_only
from pilothouse.experiments.migration.types import Finding, change, note
from pilothouse.flows.nodes.sources import find_tools, parse_python
from pilothouse.flows.promptflow.surface import SURFACE, absent

_OWN = "promptflow"


def check_python(path: Path) -> Iterator[Finding]:
    """Yield what is to be known of a Python file."""
    try:
        module = parse_python(path)
    except FlowError as error:
        _, _, line = (error.where or "").rpartition(":")
        yield change(error.message, "mend the file: no flow can import it", int(line) if line.isdigit() else None)
        return
    yield from judged(module)
    tools = find_tools(module)
    if len(tools) > 1:
        found = ", ".join(f"{tool.name} (line {tool.line})" for tool in tools)
        yield change(
            f"this file has {len(tools)} @tool functions: {found}",
            "move all but one into files of their own: a node's source is a file with one tool",
            tools[1].line,
        )


def judged(module: ast.Module) -> Iterator[Finding]:
    """Yield what the imports of parsed code mean."""
    for name, names, line in imports(module):
        yield from _judge(name, names, line)


def imports(module: ast.Module) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield each absolute import of a file: the module, the names taken from it, the line."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, (), node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, tuple(alias.name for alias in node.names), node.lineno


def _judge(module: str, names: tuple[str, ...], line: int) -> Iterator[Finding]:
    full = [module, *(f"{module}.{name}" for name in names)]
    azure = next((reason for name in full if (reason := azure_only(name))), None)
    if azure is not None:
        if module.partition(".")[0] == _OWN:
            yield change(f"'{module}' works with Azure alone", azure, line)
        else:
            yield note(f"'{module}' works with Azure alone: {azure}", line)
    elif module == _OWN or module.startswith(f"{_OWN}."):
        yield from _judge_promptflow(module, names, line)


def _judge_promptflow(module: str, names: tuple[str, ...], line: int) -> Iterator[Finding]:
    if module not in SURFACE:
        yield change(f"Pilothouse does not answer the import '{module}'", absent(module), line)
        return
    for name in names:
        full = f"{module}.{name}"
        if name != "*" and name not in SURFACE[module] and full not in SURFACE:
            yield change(f"Pilothouse does not answer '{name}' of '{module}'", absent(full), line)
