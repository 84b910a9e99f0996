"""The connections that a flow names, as files of references: no secret is read, let alone written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pilothouse.core.environment import environment_names
from pilothouse.core.errors import ConnectionFault
from pilothouse.flows.building.sources import same_data
from pilothouse.flows.building.types import Content, Part, Variable
from pilothouse.flows.types import Flow
from pilothouse.models.connections import ConnectionFolder, ConnectionSpec, FieldState

FOLDER = "connections"

_OF_A_CONNECTION = re.compile(r"\$\{(?P<connection>[^.{}:]+)\.[^.{}]+\}")
_FILE = re.compile(r"\$\{file:[^}]+\}")


def connections_part(specs: Iterable[ConnectionSpec], connections: ConnectionFolder, root: Path) -> Part:
    """Return a file of references for each connection.

    Args:
        specs: The connections that are needed.
        connections: The project's connections.
        root: The project's folder, from which the script of a scripted connection is found.

    Raises:
        ConnectionFault: when a script lies outside of the project.
    """
    files: dict[str, Content] = {}
    variables: dict[str, Variable] = {}
    notes: list[str] = []
    for spec in specs:
        if spec.type == "local":
            notes.append(f"the connection '{spec.name}' runs a model in process: `pilothouse model pull` it there")
        if not spec.where:
            continue
        texts: dict[str, str] = {}
        for state in connections.states(spec.name):
            text = _reference(state, spec)
            if text:
                texts[state.key] = text
            for name in environment_names(text):
                why = f"{state.key} of the connection '{spec.name}'"
                variables.setdefault(name, Variable(name=name, why=why))
        files |= _script(spec, root)
        place = Path(f"{FOLDER}/{spec.name}.yaml")
        files[place.as_posix()] = _written(spec, texts, place)
    return Part(files=files, variables=tuple(variables.values()), notes=tuple(notes))


def named_connections(flow: Flow, connections: ConnectionFolder, default: str | None) -> list[ConnectionSpec]:
    """Return every connection that a flow names: in its nodes, as an input of a tool, in its variables.

    Args:
        flow: The flow, its variants chosen.
        connections: The project's connections.
        default: The connection of llm nodes that name none.

    Raises:
        ConnectionFault: when a node names a connection that there is not.
    """
    known = {spec.name: spec for spec in connections.all()}
    asked = [node.connection or default for node in flow.nodes if node.type == "llm" and not _describes(flow)]
    for name in dict.fromkeys(name for name in asked if name):
        # Says what to do where there is none.
        connections.spec(name)
    texts = [str(item) for item in flow.literals if isinstance(item, str)]
    texts += [node.connection for node in flow.nodes if node.connection]
    texts += [
        match["connection"] for match in map(_OF_A_CONNECTION.fullmatch, flow.environment_variables.values()) if match
    ]
    names = {*texts, *(name for name in asked if name)}
    return [spec for name, spec in sorted(known.items()) if name in names]


def _describes(flow: Flow) -> bool:
    """Return whether a prompty describes its connection itself."""
    return flow.prompty is not None and bool(flow.prompty.type)


def _reference(state: FieldState, spec: ConnectionSpec) -> str:
    """Return what may stand in a file that is given away: the text itself, or the name of a variable."""
    text = spec.texts.get(state.key, "")
    is_file = _FILE.search(text) is not None
    if state.secret:
        required = state.key in spec.texts or _is_required(state, spec)
        return text if environment_names(text) and not is_file else f"${{env:{state.override}}}" if required else ""
    return f"${{env:{state.override}}}" if is_file else text


def _is_required(state: FieldState, spec: ConnectionSpec) -> bool:
    # Its value comes from outside, or must.
    field = spec.kind.fields.get(state.key)
    return state.source == "environment" or (field is not None and field.required and not field.unless)


def _script(spec: ConnectionSpec, root: Path) -> dict[str, Content]:
    name = spec.texts.get("script", "")
    if spec.type != "scripted" or not name:
        return {}
    path = (root / name).resolve()
    if not path.is_file() or not path.is_relative_to(root.resolve()):
        raise ConnectionFault(
            f"the script of the connection '{spec.name}' cannot be built in: {name}",
            where=spec.lines.get("script", spec.where),
            expected="a file of the project",
        )
    return {path.relative_to(root.resolve()).as_posix(): path}


def _written(spec: ConnectionSpec, texts: Mapping[str, str], place: Path) -> bytes:
    made: dict[str, Any] = {"name": spec.name, "type": spec.type}
    if not spec.kind.free:
        made |= texts
    else:
        own = {key: text for key, text in texts.items() if key in spec.kind.fields}
        free = {key: text for key, text in texts.items() if key not in spec.kind.fields}
        made |= own
        for section, hidden in (("configs", False), ("secrets", True)):
            values = {key: text for key, text in free.items() if (key in spec.hidden) is hidden}
            if values:
                made[section] = values
    return same_data(yaml.safe_dump(made, sort_keys=False, allow_unicode=True), made, place).encode()
