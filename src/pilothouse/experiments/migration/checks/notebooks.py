"""What a notebook tells: its code cells as Python, its commands as those of a script."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.errors import ConfigError
from pilothouse.experiments.migration.checks.code import judged
from pilothouse.experiments.migration.checks.flows import refusal
from pilothouse.experiments.migration.checks.scripts import check_lines
from pilothouse.experiments.migration.checks.yaml_words import read_text
from pilothouse.experiments.migration.types import Finding, change

_MAGIC = re.compile(r"^(\s*)[%!?].*$", re.MULTILINE)
_COMMANDS = re.compile(r"^\s*(?:!|%(?!%))\s*(?P<line>.*)$")


def check_notebook(path: Path) -> Iterator[Finding]:
    """Yield what is to be known of a notebook, each finding with the number of its cell."""
    try:
        content: Any = json.loads(read_text(path))
    except ConfigError as error:
        yield refusal(error, path)
        return
    except (ValueError, RecursionError) as error:
        yield change(f"this is no notebook: {error}", "mend the file")
        return
    found = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    cells = cast("list[Any]", found.get("cells") or [])
    for number, item in enumerate(cells, 1):
        cell = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        if cell.get("cell_type") != "code":
            continue
        source: Any = cell.get("source") or ""
        text = "".join(map(str, cast("list[Any]", source))) if isinstance(source, list) else str(source)
        for finding in _cell(text):
            yield replace(finding, message=f"cell {number}: {finding.message}", line=None)


def _cell(text: str) -> Iterator[Finding]:
    commands = [match["line"] for line in text.splitlines() if (match := _COMMANDS.match(line))]
    yield from check_lines(commands)
    if text.lstrip().startswith("%%"):
        yield from check_lines(text.splitlines()[1:])
        return
    try:
        module = ast.parse(_MAGIC.sub(r"\1pass", text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield Finding(verdict="unread", message="this is no Python that can be read; nothing of it was looked at")
        return
    yield from judged(module)
