"""Prompts of MLflow's registry as files that a flow can use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from pilothouse.core.storage.files import write_atomic
from pilothouse.experiments.tracking.mlflow.connecting import Server
from pilothouse.experiments.tracking.mlflow.limits import prompt_name
from pilothouse.experiments.tracking.mlflow.registering import versions_of


class PromptFile(Struct, frozen=True, kw_only=True):
    """One prompt: its latest version, its file, and why it was not written."""

    name: str
    version: int
    path: str
    reason: str = ""


def write_prompts(server: Server, folder: Path) -> Iterator[PromptFile]:
    """Write the latest version of every prompt; a file that says something else is left as it is."""
    for prompt in server.pages(server.client.search_prompts):
        versions = versions_of(server, prompt.name)
        path = folder / f"{prompt_name(prompt.name).lstrip('.') or 'prompt'}.jinja2"
        if not versions:
            yield PromptFile(name=prompt.name, version=0, path=str(path), reason="it has no version")
            continue
        text = _text(versions[-1].template).encode("utf-8", "backslashreplace")
        reason = ""
        if path.exists() and path.read_bytes() != text:
            reason = "another file stands there; move it away to get this one"
        else:
            write_atomic(path, text)
        yield PromptFile(name=prompt.name, version=int(versions[-1].version), path=str(path), reason=reason)


def _text(template: object) -> str:
    """Return a prompt as a template of ours: the messages of a chat by their roles."""
    if isinstance(template, str):
        return template
    messages = cast("list[dict[str, Any]]", template)
    return "\n\n".join(f"{item.get('role', 'user')}:\n{item.get('content', '')}" for item in messages) + "\n"
