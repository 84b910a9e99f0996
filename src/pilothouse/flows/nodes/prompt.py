"""Prompt nodes: a template, rendered."""

from __future__ import annotations

from typing import Any

from pilothouse.core.canonical import digest
from pilothouse.core.errors import FlowError
from pilothouse.flows.nodes.work import Mode, NodeContext, Work
from pilothouse.flows.prompts.images import Image, load_image
from pilothouse.flows.prompts.shield import Marks, PromptText, shield
from pilothouse.flows.prompts.templates import Template, read_template
from pilothouse.flows.types import LiteralValue, Node, Reference


def open_prompt(node: Node, context: NodeContext) -> Work:
    """Return the work of a prompt node.

    Raises:
        FlowError: when its template cannot be read.
    """
    template = node_template(node, context)
    from_flow = flow_inputs(node)

    def render(**values: Any) -> PromptText:
        text, marks = render_shielded(template, values, from_flow)
        return PromptText(marks.restore(text), marks.positions(text)) if marks else PromptText(text)

    return Work(
        mode=Mode.INLINE,
        function=render,
        constants=template_constants(node, template, context),
        fingerprint=digest(["prompt", template.text]),
    )


def node_template(node: Node, context: NodeContext) -> Template:
    """Return the template of a node, compiled.

    Raises:
        FlowError: when there is none.
    """
    path = context.folder / (node.source.path or "")
    if not node.source.path or not path.is_file():
        raise FlowError(f"node '{node.name}' has no template file", where=node.source.where or node.where)
    return read_template(path, sandbox=context.settings.sandbox)


def flow_inputs(node: Node) -> frozenset[str]:
    """Return the inputs of a node that come straight from the flow's inputs, and are guarded."""
    return frozenset(
        name for name, value in node.inputs.items() if isinstance(value, Reference) and value.source == "input"
    )


def render_shielded(template: Template, values: dict[str, Any], from_flow: frozenset[str]) -> tuple[str, Marks | None]:
    """Return the rendered text with role markers of flow inputs made harmless, and the marks that did it."""
    shielded, marks = shield(values, from_flow, template.text)
    text = template.render(shielded)
    return (marks.settle(text), marks) if marks else (text, None)


def template_constants(node: Node, template: Template, context: NodeContext) -> dict[str, Any]:
    """Return the literal inputs of a node with a template; those shown as ``![image](...)`` are loaded as images."""
    constants: dict[str, Any] = {}
    for name, value in node.inputs.items():
        if isinstance(value, LiteralValue) and value.value is not None and value.value != "":
            is_image = name in template.images
            constants[name] = load_image(value.value, context.folder) if is_image else value.value
    return constants


def images_in(values: Any) -> dict[str, Image]:
    """Return every image inside the values, by its text form."""
    if isinstance(values, Image):
        return {str(values): values}
    if isinstance(values, dict):
        values = list(values.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    found: dict[str, Image] = {}
    if isinstance(values, list | tuple):
        for item in values:  # pyright: ignore[reportUnknownVariableType]
            found.update(images_in(item))
    return found
