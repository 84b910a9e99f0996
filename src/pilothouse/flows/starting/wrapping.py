"""A function that exists made into a flow: its signature gives the inputs."""

from __future__ import annotations

import ast
import keyword
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.flex.annotations import read_annotation
from pilothouse.flows.flex.signature import EntrySignature, read_entry
from pilothouse.flows.nodes.connections import connection_types
from pilothouse.flows.nodes.sources import Parameter, find_tools, parse_python
from pilothouse.flows.prompts.templates import read_template
from pilothouse.flows.types import Include

_SAMPLES: Final[dict[str, Any]] = {"int": 1, "double": 1.0, "bool": True, "list": [], "object": {}}
_ANNOTATIONS: Final = frozenset({"int", "float", "bool", "str", "list", "dict"})


class Existing(Struct, frozen=True, kw_only=True):
    """What a flow is made around.

    Attributes:
        folder: The flow's folder, which need not exist yet.
        entry: The Python file, from here or from the flow's folder.
        function: The function, or a class.
        prompts: Parameter -> template that is rendered for it, from here or from the flow's folder.
        connections: The names of the project's connections by their types, for parameters that take one.
    """

    folder: Path
    entry: Path
    function: str
    prompts: Mapping[str, Path]
    connections: Mapping[str, str]


def wrapped_flex(existing: Existing) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of a flex flow around a function, and the inputs that have no default.

    Raises:
        FlowError: when the file or the function does not exist.
    """
    signature, includes = _signature(existing)
    inputs = [item for item in signature.inputs if not item.has_default]
    data: dict[str, Any] = {
        **_including(includes, existing.folder),
        "entry": f"{existing.entry.stem}:{existing.function}",
    }
    sample: dict[str, Any] = {}
    if inputs:
        sample["inputs"] = {item.name: _sample(item, existing) for item in inputs}
    made_with = [item for item in signature.init if not item.has_default]
    if made_with:
        sample["init"] = {item.name: _sample(item, existing) for item in made_with}
    if sample:
        data["sample"] = sample
    return {"flow.flex.yaml": _document(data)}, [item.name for item in inputs]


def wrapped_dag(existing: Existing) -> tuple[dict[str, bytes], list[str]]:
    """Return the files of a graph around a function, and the flow's inputs that have no default.

    A prompt node renders each template. A function that is no tool is wrapped by one in a file of its own.

    Raises:
        FlowError: when a file, the function or a parameter does not exist.
    """
    signature, includes = _signature(existing)
    known = [item.name for item in signature.inputs]
    if signature.is_class:
        raise FlowError(f"'{existing.function}' is a class", where=signature.place, fix="use --kind flex")
    inputs: dict[str, dict[str, Any]] = {}
    nodes: list[dict[str, Any]] = []
    for name, path in existing.prompts.items():
        if name not in known:
            raise FlowError(
                f"'{existing.function}' has no parameter '{name}'",
                where=signature.place,
                expected=nearest_hint(name, known),
            )
        template, source = _placed(existing.folder, path, includes)
        variables = read_template(template).variables
        inputs |= {item: {"type": "string"} for item in variables}
        given = {item: f"${{inputs.{item}}}" for item in variables}
        nodes.append({"name": name, "type": "prompt", "source": {"type": "code", "path": source}, "inputs": given})
    arguments: dict[str, Any] = {}
    for item in signature.inputs:
        if item.name in existing.prompts:
            arguments[item.name] = f"${{{item.name}.output}}"
        elif connection_types(item.annotation) is not None:
            arguments[item.name] = _connection(item, existing)
        else:
            arguments[item.name] = f"${{inputs.{item.name}}}"
            inputs[item.name] = _port(item)
    files: dict[str, bytes] = {}
    source = existing.entry.name
    if [tool.name for tool in find_tools(parse_python(_found(existing.folder, existing.entry)))] != [existing.function]:
        source = f"{existing.function}_tool.py"
        files[source] = _wrapper(existing, signature).encode()
    node = existing.function if existing.function not in existing.prompts else f"{existing.function}_tool"
    nodes.append({"name": node, "type": "python", "source": {"type": "code", "path": source}, "inputs": arguments})
    outputs = {"output": {"type": _output_type(signature), "reference": f"${{{node}.output}}"}}
    data = {**_including(includes, existing.folder), "inputs": inputs, "outputs": outputs, "nodes": nodes}
    return {"flow.dag.yaml": _document(data), **files}, [name for name, port in inputs.items() if "default" not in port]


def _signature(existing: Existing) -> tuple[EntrySignature, list[Path]]:
    includes: list[Path] = []
    path, _ = _placed(existing.folder, existing.entry, includes)
    if not keyword.iskeyword(path.stem) and path.stem.isidentifier():
        found = tuple(Include(source=item, target=item.name) for item in includes)
        place = existing.folder if existing.folder.is_dir() else path.parent
        return read_entry(place, found, f"{path.stem}:{existing.function}", str(path)), includes
    raise FlowError(f"'{path.name}' cannot be imported by its name", where=str(path), fix="rename the file")


def _found(folder: Path, path: Path) -> Path:
    for place in (folder / path, path):
        if place.is_file():
            return place.resolve()
    raise FlowError("there is no such file", where=str(path), expected=f"a file here or in {folder}")


def _placed(folder: Path, path: Path, includes: list[Path]) -> tuple[Path, str]:
    """Return where a file is, and its name in the flow; one from outside is added to the includes."""
    found = _found(folder, path)
    home = folder.resolve()
    if found.is_relative_to(home):
        return found, found.relative_to(home).as_posix()
    if found not in includes:
        includes.append(found)
    return found, found.name


def _including(includes: list[Path], folder: Path) -> dict[str, Any]:
    home = folder.resolve()
    names = [Path(os.path.relpath(path, home)).as_posix() for path in includes]
    return {"additional_includes": names} if names else {}


def _sample(item: Parameter, existing: Existing) -> Any:
    if connection_types(item.annotation) is not None:
        return _connection(item, existing)
    return _SAMPLES.get(read_annotation(item.annotation).type if item.annotation else "", "...")


def _connection(item: Parameter, existing: Existing) -> str:
    types = connection_types(item.annotation) or frozenset(existing.connections)
    return next(
        (existing.connections[kind] for kind in sorted(types) if kind in existing.connections), f"<{item.name}>"
    )


def _port(item: Parameter) -> dict[str, Any]:
    kind = read_annotation(item.annotation).type if item.annotation else "string"
    return {"type": kind, "default": item.default} if item.has_default and item.default is not None else {"type": kind}


def _output_type(signature: EntrySignature) -> str:
    said = signature.outputs.get("output", "")
    return read_annotation(said).type if said else "string"


def _wrapper(existing: Existing, signature: EntrySignature) -> str:
    parameters: list[str] = []
    classes: set[str] = set()
    for item in signature.inputs:
        kind = item.annotation.strip("'\"").rpartition(".")[2]
        if connection_types(item.annotation) is not None:
            classes.add(kind)
        annotation = f": {kind}" if kind in {*_ANNOTATIONS, *classes} else ""
        parameters.append(f"{item.name}{annotation}" + (f" = {item.default!r}" if item.has_default else ""))
    names = ", ".join(f"{item.name}={item.name}" for item in signature.inputs)
    brought = f"from promptflow.connections import {', '.join(sorted(classes))}\n" if classes else ""
    module = parse_python(_found(existing.folder, existing.entry))
    is_async = any(isinstance(item, ast.AsyncFunctionDef) and item.name == existing.function for item in module.body)
    return (
        f"from {existing.entry.stem} import {existing.function}\n"
        f"{brought}"
        "from pilothouse import tool\n\n\n"
        "@tool\n"
        f"{'async ' if is_async else ''}def {existing.function}_tool({', '.join(parameters)}):\n"
        f"    return {'await ' if is_async else ''}{existing.function}({names})\n"
    )


def _document(data: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=120).encode()
