"""The page on which a flow is tried: one document, one module, one style sheet, all from the package."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from pilothouse.flows.chat.conversation import chat_ports, is_chat
from pilothouse.flows.serving.answers import Problem
from pilothouse.flows.types import Flow

_FOLDER = Path(__file__).parent / "page"
_ASSETS: Final = {
    "page.js": "text/javascript",
    "form.js": "text/javascript",
    "page.css": "text/css",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def page(flow: Flow, hidden: frozenset[str]) -> Callable[[], Response]:
    """Return what answers with the page of a flow."""
    text = (_FOLDER / "index.html").read_text(encoding="utf-8")
    title = flow.display_name or flow.name
    facts = json.dumps(_facts(flow, hidden), default=repr)
    for name, value in {"title": title, "description": flow.description, "facts": facts}.items():
        text = text.replace(f"{{{{{name}}}}}", html.escape(value, quote=True))
    body = text.encode()
    return lambda: Response(body, headers=_HEADERS, media_type="text/html")


def asset(name: str) -> Response:
    """Return a file of the page.

    Raises:
        Problem: 404 for any other name.
    """
    if name not in _ASSETS:
        raise Problem(404, f"the page has no file '{name}'")
    return Response((_FOLDER / name).read_bytes(), headers=_HEADERS, media_type=_ASSETS[name])


def _facts(flow: Flow, hidden: frozenset[str]) -> dict[str, Any]:
    """Return what the page's script must know of the flow."""
    ports = chat_ports(flow) if is_chat(flow) else None
    inputs = [
        {
            "name": item.name,
            "type": item.type,
            "default": item.default if item.has_default else flow.sample.get(item.name),
            "required": not (item.has_default or item.default_in_code),
            "description": item.description,
            "enum": list(item.enum),
        }
        for item in flow.inputs.values()
        if ports is None or item.name != ports.history
    ]
    chat: dict[str, Any] | None = None
    if ports is not None:
        chat = {
            "question": ports.question,
            "history": ports.history,
            "answer": ports.answer,
            "openai": ports.is_openai,
            "begun": flow.inputs[ports.history].default or [],
        }
    outputs = [name for name in flow.outputs if name not in hidden]
    return {"inputs": inputs, "outputs": outputs, "chat": chat, "vision": flow.message_format == "openai-vision"}
