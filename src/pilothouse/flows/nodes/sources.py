"""What a Python file says about its tool, read without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.errors import FlowError
from pilothouse.flows.promptflow.finder import installed, is_promptflow
from pilothouse.flows.promptflow.surface import SURFACE, absent

_UNSET: Any = object()
_IMPORTS = (ast.Import, ast.ImportFrom)


class Parameter(Struct, frozen=True, kw_only=True):
    """One parameter of a tool.

    Attributes:
        name: Its name.
        annotation: The source text of its annotation, empty when there is none.
        has_default: Whether it may be left out.
        default: Its default where that is a literal, else None.
    """

    name: str
    annotation: str = ""
    has_default: bool = False
    default: Any = None


class ToolSignature(Struct, frozen=True, kw_only=True):
    """The tool of a file.

    Attributes:
        name: Name of the function or method.
        owner: The class of a method; its constructor's parameters come first in ``parameters``.
        parameters: What the node's inputs may name.
        takes_any: Whether it has ``**kwargs``.
        line: 1-based line of its definition.
        promptflow: 1-based line of the file's first import of prompt flow; None where it imports none of it.
    """

    name: str
    owner: str | None = None
    parameters: tuple[Parameter, ...] = ()
    takes_any: bool = False
    line: int = 0
    promptflow: int | None = None


Function = ast.FunctionDef | ast.AsyncFunctionDef


def read_tool(path: Path) -> ToolSignature:
    """Return the one tool of a Python file.

    Raises:
        FlowError: for a syntax error, a file without a tool or with two, or one that needs what is not
            offered of prompt flow.
    """
    module = parse_python(path)
    promptflow = promptflow_line(module, path)
    names = _tool_names(module)
    tools = list(_tools(module.body, names, None))
    if not tools:
        raise FlowError(
            "this file has no @tool function",
            where=f"{path}:1",
            fix="write `from pilothouse import tool` and put @tool above the function that the node runs",
        )
    if len(tools) > 1:
        found = ", ".join(f"{tool.name} (line {tool.line})" for tool in tools)
        raise FlowError(
            f"this file has {len(tools)} @tool functions: {found}",
            where=f"{path}:{tools[1].line}",
            expected="one @tool function in a file",
            fix="move the others into files of their own, or remove their @tool",
        )
    return replace(tools[0], promptflow=promptflow)


def parse_python(path: Path) -> ast.Module:
    """Parse a Python file.

    Raises:
        FlowError: when it is not Python, with its line.
    """
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        where = f"{path}:{error.lineno}" if error.lineno else str(path)
        expected = f"what Python {sys.version_info.major}.{sys.version_info.minor} can read"
        raise FlowError(f"this is not Python: {error.msg}", where=where, expected=expected) from error
    except OSError as error:
        raise FlowError(f"the file cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise FlowError(f"this is not Python: {error}", where=str(path)) from error


def promptflow_line(module: ast.Module, path: Path) -> int | None:
    """Return the first line that imports prompt flow, or None.

    Raises:
        FlowError: at an import, run whenever the file is, of something that is not offered of it.
    """
    lines = [node.lineno for node in ast.walk(module) if isinstance(node, _IMPORTS) and any(_imported(node))]
    if not lines or installed() is not None:
        return min(lines, default=None)
    # What stands inside a `try` or a function may be meant to fail, or may never run.
    for statement in module.body:
        for name in _offered_names(statement):
            if name not in SURFACE and name.rpartition(".")[2] not in SURFACE.get(name.rpartition(".")[0], {}):
                raise FlowError(absent(name), where=f"{path}:{statement.lineno}")
    return min(lines)


def _offered_names(statement: ast.stmt) -> Iterator[str]:
    """Return every name of prompt flow that an import needs: modules, and what is taken from them."""
    if not isinstance(statement, _IMPORTS):
        return
    for name in _imported(statement):
        if isinstance(statement, ast.Import) or name not in SURFACE:
            yield name
        else:
            yield from (f"{name}.{alias.name}" for alias in statement.names if alias.name != "*")


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [node.module or ""] if node.level == 0 else []
    return filter(is_promptflow, names)


def find_tools(module: ast.Module) -> tuple[ToolSignature, ...]:
    """Return every tool of a parsed file, in order."""
    return tuple(_tools(module.body, _tool_names(module), None))


def _tool_names(module: ast.Module) -> frozenset[str]:
    """Return the names under which the decorator was imported; ``tool`` always counts."""
    renamed = {
        alias.asname
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == "tool" and alias.asname
    }
    return frozenset({"tool", *renamed})


def _tools(body: Iterable[ast.stmt], names: frozenset[str], owner: ast.ClassDef | None) -> Iterator[ToolSignature]:
    for statement in body:
        if isinstance(statement, Function) and any(_is_tool(item, names) for item in statement.decorator_list):
            yield _signature(statement, owner)
        elif isinstance(statement, ast.ClassDef) and owner is None:
            yield from _tools(statement.body, names, statement)
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _tools(_inner(statement), names, owner)


def _inner(statement: ast.If | ast.Try | ast.With) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler):
            yield from child.body


def _is_tool(decorator: ast.expr, names: frozenset[str]) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(target, ast.Attribute):
        return target.attr == "tool"
    return isinstance(target, ast.Name) and target.id in names


def _signature(function: Function, owner: ast.ClassDef | None) -> ToolSignature:
    parameters = list(parameters_of(function, is_method=owner is not None))
    constructor = _constructor(owner) if owner is not None else None
    if constructor is not None:
        parameters = [*parameters_of(constructor, is_method=True), *parameters]
    return ToolSignature(
        name=function.name,
        owner=owner.name if owner is not None else None,
        parameters=tuple(parameters),
        takes_any=function.args.kwarg is not None,
        line=function.lineno,
    )


def _constructor(owner: ast.ClassDef) -> Function | None:
    return next((item for item in owner.body if isinstance(item, Function) and item.name == "__init__"), None)


def parameters_of(function: Function, *, is_method: bool) -> Iterator[Parameter]:
    """Return the parameters that can be given by name; the first one of a method is its instance."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[Any] = [_UNSET] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = list(zip(positional, defaults, strict=True))[1 if is_method else 0 :]
    pairs += [(item, _UNSET if value is None else value) for item, value in _keyword_only(arguments)]
    for item, default in pairs:
        annotation = ast.unparse(item.annotation) if item.annotation is not None else ""
        is_given = default is not _UNSET
        value = _literal(default) if is_given else None
        yield Parameter(name=item.arg, annotation=annotation, has_default=is_given, default=value)


def _literal(default: ast.expr) -> Any:
    try:
        return ast.literal_eval(default)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _keyword_only(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    return zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
