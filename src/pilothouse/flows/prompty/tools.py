"""The tools that a prompty offers to its model: what the model is told of them, and who answers their calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pilothouse.core.errors import FlowError, nearest_hint, suggest
from pilothouse.flows.dag.document import Key, Parser
from pilothouse.flows.prompty.schema import json_schema, ports
from pilothouse.flows.types import FlowInput, PromptyTool

_KEYS = {
    "function": ("name", "kind", "description", "parameters", "strict", "bindings"),
    "prompty": ("name", "kind", "description", "parameters", "path", "mode", "bindings"),
}
_ELSEWHERE = {
    "mcp": "the tools of an MCP server",
    "openapi": "the operations of an OpenAPI document",
    "custom": "tools of a runtime's own",
}


def read_tools(parser: Parser, inputs: Mapping[str, FlowInput]) -> tuple[PromptyTool, ...]:
    """Return the tools of a file in Prompty 2.

    Raises:
        FlowError: for a kind that is not called here, a name that stands twice, a binding to no input, or a prompty
            that is not there.
    """
    given: Any = parser.data.get("tools")
    if given is None:
        return ()
    places: list[tuple[tuple[Key, ...], str | None]]
    if isinstance(given, list):
        places = [(("tools", index), None) for index in range(len(given))]  # pyright: ignore[reportUnknownArgumentType]
    else:
        places = [(("tools", name), name) for name in parser.mapping(("tools",))]
    tools: dict[str, PromptyTool] = {}
    for keys, name in places:
        tool = _tool(parser, keys, name, inputs)
        if tool.name in tools:
            raise FlowError(f"the tool '{tool.name}' stands twice", where=tool.where, fix="give one another name")
        tools[tool.name] = tool
    return tuple(tools.values())


def _tool(parser: Parser, keys: tuple[Key, ...], name: str | None, inputs: Mapping[str, FlowInput]) -> PromptyTool:
    fields = parser.mapping(keys)
    name = parser.text(fields, keys, "name") or name
    if not name:
        raise FlowError("a tool has no name", where=parser.where(*keys), expected="name: <word>")
    kind = parser.text(fields, keys, "kind") or ""
    if kind not in _KEYS:
        _refuse(parser, keys, name, kind)
    parser.mapping(keys, _KEYS[kind])
    where = parser.where(*keys)
    bindings = _bindings(parser, (*keys, "bindings"), inputs)
    strict = parser.flag(fields, keys, "strict")
    arguments = [port for port in ports(parser, (*keys, "parameters")) if port.name not in bindings]
    function: dict[str, Any] = {"name": name}
    if fields.get("description"):
        function["description"] = parser.text(fields, keys, "description")
    function["parameters"] = json_schema(parser, arguments, strict=strict)
    if strict:
        function["strict"] = True
    return PromptyTool(
        name=name,
        declaration={"type": "function", "function": function},
        path=_path(parser, keys, name, fields) if kind == "prompty" else None,
        agentic=parser.choice(fields, keys, "mode", ("single", "agentic"), "single") == "agentic",
        bindings=bindings,
        where=where,
    )


def _refuse(parser: Parser, keys: tuple[Key, ...], name: str, kind: str) -> None:
    where = parser.where(*keys, "kind")
    known = (*_KEYS, *_ELSEWHERE)
    if not kind or (kind not in _ELSEWHERE and suggest(kind, known)):
        raise FlowError(
            f"the tool '{name}' is of the kind '{kind}'" if kind else f"the tool '{name}' has no kind",
            where=where,
            expected=nearest_hint(kind, known) if kind else "kind: function",
        )
    what = _ELSEWHERE.get(kind, f"tools of the kind '{kind}'")
    raise FlowError(
        f"{what} are not called from a prompty here, so '{name}' could not answer",
        where=where,
        expected="kind: function or prompty",
        fix="declare it as kind: function and answer its calls, or call it from a Python tool of a flow",
    )


def _bindings(parser: Parser, keys: tuple[Key, ...], inputs: Mapping[str, FlowInput]) -> dict[str, str]:
    given: Any = parser.at(keys)
    found: dict[str, tuple[str, tuple[Key, ...]]] = {}
    if isinstance(given, list):
        for index in range(len(given)):  # pyright: ignore[reportUnknownArgumentType]
            fields = parser.mapping((*keys, index), ("name", "input"))
            found[str(fields.get("name") or "")] = (str(fields.get("input") or ""), (*keys, index))
    else:
        for name, item in parser.mapping(keys).items():
            fields = parser.mapping((*keys, name), ("name", "input")) if isinstance(item, dict) else {"input": item}
            found[name] = (str(fields.get("input") or ""), (*keys, name))
    for name, (source, place) in found.items():
        if source not in inputs:
            raise FlowError(
                f"the argument '{name}' is bound to '{source}', which is no input",
                where=parser.where(*place),
                expected=nearest_hint(source, inputs),
            )
    return {name: source for name, (source, _) in found.items()}


def _path(parser: Parser, keys: tuple[Key, ...], name: str, fields: dict[str, Any]) -> Path:
    given = parser.text(fields, keys, "path")
    if not given:
        raise FlowError(
            f"the tool '{name}' names no prompty", where=parser.where(*keys), expected="path: ./other.prompty"
        )
    path = (parser.folder / given).resolve()
    refuse_outside(path, parser.folder, parser.where(*keys, "path"))
    if not path.is_file():
        near = [str(item.relative_to(parser.folder)) for item in parser.folder.glob("**/*.prompty")]
        raise FlowError(
            f"there is no prompty '{given}'", where=parser.where(*keys, "path"), expected=nearest_hint(given, near)
        )
    return path


def refuse_outside(path: Path, folder: Path, where: str) -> None:
    """Refuse a file outside of the prompty's folder: a prompt must not be able to send any file to a model.

    Raises:
        FlowError: when it is.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FlowError(f"the file {path} is outside of the prompty's folder", where=where, expected="a file beside it")


def declared(tools: Iterable[PromptyTool]) -> list[dict[str, Any]]:
    """Return what the model is told of the tools, in OpenAI's form."""
    return [tool.declaration for tool in tools]
