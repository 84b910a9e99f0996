"""What a flow takes and gives, in the words of a flex flow's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.types import Flow

_PARTS = ("inputs", "outputs", "init")
_OWN = ("description", "type", "default")
_BY_CODE = {"int": "int", "float": "double", "bool": "bool", "str": "string", "list": "list", "dict": "object"}


def signature_of(flow: Flow) -> dict[str, Any]:
    """Return ``inputs``, ``outputs`` and ``init`` of a flow; what it has none of is left out."""
    inputs = {
        name: {"type": item.type, **({"default": item.default} if item.has_default else {})}
        for name, item in flow.inputs.items()
    }
    outputs = {name: {"type": item.type} for name, item in flow.outputs.items()}
    init = {
        name: {
            "type": _BY_CODE.get(item.type, item.type or "object"),
            **({"default": None} if item.has_default else {}),
        }
        for name, item in flow.init.items()
    }
    found = {"inputs": inputs, "outputs": outputs, "init": init}
    return {name: part for name, part in found.items() if part}


def written(flow: Flow, signature: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file of a flex flow says of its ports, with a user's own words over those of the code.

    Raises:
        FlowError: for a port that the code does not have, or a key that ports do not have.
    """
    found = signature_of(flow)
    for part, ports in signature.items():
        if part not in _PARTS:
            if part in {"description", "display_name", "tags"}:
                found[part] = ports
                continue
            raise FlowError(f"a signature has no '{part}'", expected=nearest_hint(part, _PARTS))
        for name, fields in dict(ports).items():
            if part != "outputs" and name not in found.get(part, {}):
                raise FlowError(f"the entry has no '{name}' among its {part}",
                                expected=nearest_hint(name, found.get(part, {})))  # fmt: skip
            unknown = [key for key in fields if key not in _OWN]
            if unknown:
                raise FlowError(f"'{name}' has no '{unknown[0]}'", expected=nearest_hint(unknown[0], _OWN))
            found.setdefault(part, {}).setdefault(name, {}).update(fields)
    return {key: _clean(value) if key in _PARTS else value for key, value in found.items()}


def _clean(ports: dict[str, Any]) -> dict[str, Any]:
    # A default of None is how the code says that a value may be left out: the file says nothing then.
    return {
        name: {key: value for key, value in fields.items() if key != "default" or value is not None}
        for name, fields in ports.items()
    }
