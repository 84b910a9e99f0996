"""Package tools: installed functions that flows name by id, entered in the group `package_tools`."""

from __future__ import annotations

import inspect
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.nodes.faults import user_code_error
from pilothouse.flows.nodes.modules import FlowModules
from pilothouse.flows.nodes.prompt import flow_inputs, node_template
from pilothouse.flows.nodes.python import bind_method, python_work
from pilothouse.flows.nodes.tools.catalogue import BUILT_IN, cure
from pilothouse.flows.nodes.work import NodeContext, Work
from pilothouse.flows.types import Node

GROUP = "package_tools"
_TEMPLATE_TYPE = "PromptTemplate"
_GUARDED = "_inputs_to_escape"


def open_package(node: Node, context: NodeContext, modules: FlowModules) -> Work:
    """Return the work of a node whose tool is installed; a ``custom_llm`` node gives it its template.

    Raises:
        FlowError: when no installed package offers the tool.
        UserCodeError: when its module cannot be imported.
    """
    opener = BUILT_IN.get(node.source.tool or "")
    if opener is not None and node.source.tool not in offered():
        return opener(node, context)
    # Packages of tools are written for prompt flow, and may be imported already.
    modules.serve_promptflow()
    tool, owner, release = _find(node)
    identity: list[Any] = ["package", node.source.tool, release]
    if owner is not None:
        tool, node, arguments = bind_method(node, context, owner, tool.__name__)
        identity.append(arguments)
    if node.type != "custom_llm":
        return python_work(node, context, tool, identity=identity)
    template = node_template(node, context)
    prompt = _template_parameter(tool)
    if prompt is None:
        raise FlowError(
            f"the package tool '{node.source.tool}' takes no template",
            where=node.source.where,
            expected=f"a parameter of the type {_TEMPLATE_TYPE}",
        )
    guarded: dict[str, Any] = {_GUARDED: sorted(flow_inputs(node))} if _takes(tool, _GUARDED) else {}
    filled = partial(tool, **{prompt: template.text}, **guarded)
    return python_work(node, context, filled, identity=[*identity, template.text])


@lru_cache(maxsize=1)
def offered() -> dict[str, dict[str, Any]]:
    """Return every installed package tool by its id, as its package describes it.

    Raises:
        UserCodeError: when a package cannot list its tools.
    """
    found: dict[str, dict[str, Any]] = {}
    for point in entry_points(group=GROUP):
        try:
            tools = cast("dict[str, dict[str, Any]]", point.load()())
        except Exception as error:
            raise user_code_error(
                error, f"the package tools of '{point.name}' cannot be listed", point.value
            ) from error
        for identifier, description in tools.items():
            release = f"{point.dist.name} {point.dist.version}" if point.dist else ""
            found[identifier] = {**description, "release": release}
    return found


def _find(node: Node) -> tuple[Any, Any, str]:
    """Return the function of a package tool, its class where it is a method, and the package's release."""
    known = offered()
    identifier = node.source.tool or ""
    description = known.get(identifier) or next(
        (item for item in known.values() if identifier in (item.get("deprecated_tools") or ())), None
    )
    if description is None:
        raise FlowError(
            f"no installed package offers the tool '{identifier}'",
            where=node.source.where,
            expected=nearest_hint(identifier, {*known, *BUILT_IN}),
            fix=cure(identifier) or "install the package that brings it",
        )
    try:
        module = import_module(str(description["module"]))
        owner = getattr(module, description["class_name"]) if description.get("class_name") else None
        tool = getattr(owner or module, str(description["function"]))
    except Exception as error:
        raise user_code_error(error, f"the tool '{identifier}' cannot be imported", node.source.where) from error
    return tool, owner, str(description.get("release", ""))


def _template_parameter(tool: Any) -> str | None:
    for name, parameter in inspect.signature(tool).parameters.items():
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
        if text.rpartition(".")[2] == _TEMPLATE_TYPE:
            return name
    return None


def _takes(tool: Any, name: str) -> bool:
    parameters = inspect.signature(tool).parameters
    return name in parameters or any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values())
