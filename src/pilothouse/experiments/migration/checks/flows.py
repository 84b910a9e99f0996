"""What a flow's file tells: `load_flow` is the judge; what prompt flow would do otherwise is added as notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import ConfigError, UserError
from pilothouse.experiments.migration.checks.yaml_words import check_words, read_text
from pilothouse.experiments.migration.types import Finding, change, note
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow, FlowInput, LiteralValue, Node

_REASONING = re.compile(r"(o\d|gpt-5).*")
_LINE = re.compile(r"^(?P<file>.+?):(?P<line>\d+)(: (?P<rest>.*))?$", re.DOTALL)


class FlowReport(Struct, frozen=True, kw_only=True):
    """What a flow's file holds.

    Attributes:
        findings: What is to be known.
        defaults: Its inputs that have a default.
    """

    findings: tuple[Finding, ...] = ()
    defaults: tuple[FlowInput, ...] = ()


def check_flow(path: Path) -> FlowReport:
    """Load a flow without running any of its code, and say what to know about it."""
    findings = list(_words(path))
    try:
        flow = load_flow(path)
    except UserError as error:
        return FlowReport(findings=(refusal(error, path), *findings))
    findings += [_placed(text, path) for text in flow.notes]
    findings += _risks(flow)
    defaults = tuple(item for item in flow.inputs.values() if item.has_default)
    return FlowReport(findings=tuple(findings), defaults=defaults)


def refusal(error: UserError, path: Path) -> Finding:
    """Return an error of a reader as the change that a file needs; a place in another file stays in the words."""
    match = _LINE.match(error.where or "")
    message, line = error.message, None
    if match and Path(match["file"]) == path.resolve():
        line = int(match["line"])
    elif error.where and error.where not in {str(path), str(path.resolve())}:
        message = f"{_shorter(error.where, path)}: {message}"
    expected = error.expected or ""
    cures = [error.fix, expected if expected.startswith("did you") else expected and f"expected: {expected}"]
    cure = "; ".join(_shorter(part, path) for part in cures if part)
    return change(_shorter(message, path), cure or "correct this line", line)


def _words(path: Path) -> Iterator[Finding]:
    if path.suffix not in {".yaml", ".yml"}:
        return
    try:
        yield from check_words(read_text(path))
    except ConfigError:
        # The flow's own reader says it better, with file and line.
        return


def _placed(text: str, path: Path) -> Finding:
    match = _LINE.match(text)
    if match and match["rest"] and Path(match["file"]) == path.resolve():
        return note(_shorter(match["rest"], path), int(match["line"]))
    return note(_shorter(text, path))


def _shorter(text: str, path: Path) -> str:
    return text.replace(f"{path.resolve().parent}/", "")


def _risks(flow: Flow) -> Iterator[Finding]:
    yield from _image(flow)
    variants = [variant.node for group in flow.node_variants.values() for variant in group.variants.values()]
    for node in (*(node for node in flow.nodes if node.variant is None), *variants):
        yield from _mixed_aggregation(node)
        yield from _token_limit(node)
        if node.enable_cache:
            yield note(
                f"'{node.name}' says enable_cache, which prompt flow ignored: here its results are kept and used again",
                _line(node.where),
                "run with --no-cache where answers must be asked anew",
            )


def _image(flow: Flow) -> Iterator[Finding]:
    image = flow.environment.image
    if image is not None and "promptflow" in image:
        yield note(
            f"the flow asks for prompt flow's image {image}, which gets no more security updates; nothing here uses it",
            fix="remove environment.image",
        )


def _mixed_aggregation(node: Node) -> Iterator[Finding]:
    sources = {reference.source for reference in node.references}
    if node.aggregation and sources == {"input", "node"}:
        yield note(
            f"'{node.name}' sets ${{inputs...}} beside outputs of nodes: after a resume, prompt flow paired them "
            "wrongly, so metrics of resumed runs may differ; here they belong to the same rows",
            _line(node.where),
            "trust the figures of runs that were never resumed, or run it again here",
        )


def _token_limit(node: Node) -> Iterator[Finding]:
    limit = node.inputs.get("max_tokens")
    names = [_literal(node, "model"), _literal(node, "deployment_name")]
    model = next((name for name in names if _REASONING.fullmatch(name)), None)
    if limit is not None and model is not None:
        yield note(
            f"'{node.name}' gives max_tokens to '{model}', which refuses it in prompt flow; here it is sent as "
            "max_completion_tokens, which counts the hidden reasoning too",
            _line(limit.where),
            "raise the limit if answers come back empty",
        )


def _literal(node: Node, name: str) -> str:
    value: Any = node.inputs.get(name)
    return str(value.value) if isinstance(value, LiteralValue) else ""


def _line(where: str) -> int | None:
    _, _, line = where.rpartition(":")
    return int(line) if line.isdigit() else None
