"""What became of a line, as HTTP says it: outputs on the wire, and failures with the status they deserve."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from pilothouse.core.errors import DataError, ModelError
from pilothouse.flows.prompts.images import Image
from pilothouse.flows.results import ErrorInfo, LineResult
from pilothouse.flows.serving.answers import Problem
from pilothouse.flows.types import Flow

_IMAGE = re.compile(r"data:(?P<type>image/[^;]+);(?P<form>base64|url)", re.IGNORECASE)
_TIMEOUT: Final = "Timeout"


def hidden_outputs(flow: Flow, included: tuple[str, ...] | None) -> frozenset[str]:
    """Return the outputs that are not answered: those for evaluation only, or all but the ones that were chosen."""
    if included is not None:
        return frozenset(flow.outputs) - frozenset(included)
    return frozenset(name for name, output in flow.outputs.items() if output.evaluation_only)


def on_the_wire(flow: Flow, value: Any) -> Any:
    """Return an output as clients get it: in a flow of the format `openai-vision`, images have OpenAI's form."""
    if isinstance(value, Image):
        value = value.to_dict()
    if isinstance(value, list):
        return [on_the_wire(flow, item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found = cast("dict[str, Any]", value)
    if flow.message_format == "openai-vision" and len(found) == 1:
        key, content = next(iter(found.items()))
        match = _IMAGE.fullmatch(str(key))
        if match and isinstance(content, str):
            url = content if match["form"] == "url" else f"data:{match['type']};base64,{content}"
            return {"type": "image_url", "image_url": {"url": url}}
    return {key: on_the_wire(flow, item) for key, item in found.items()}


def problem_of(line: LineResult, trace_id: str) -> Problem | None:
    """Return the error that a failed line is answered with; None for one that completed.

    Neither tracebacks nor secrets leave the server: the trace has the whole story.
    """
    error = line.error
    if error is None:
        return None
    details = {"node": error.node, "type": error.type, "trace_id": trace_id}
    if error.type == DataError.__name__ and not line.nodes:
        return Problem(400, error.message, details=details)
    return Problem(_status(error), _message(error), details=details)


def _status(error: ErrorInfo) -> int:
    if error.type == _TIMEOUT:
        return 504
    return 502 if error.type == ModelError.__name__ else 500


def _message(error: ErrorInfo) -> str:
    if error.node is None or error.type == _TIMEOUT:
        return error.message
    return f"node '{error.node}' failed: {error.type}: {error.message}"
