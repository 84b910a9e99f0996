"""What scripts, pipelines, make files and container files call of prompt flow, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pilothouse.core.errors import ConfigError
from pilothouse.experiments.migration.checks.flows import refusal
from pilothouse.experiments.migration.checks.modules import REQUIREMENTS
from pilothouse.experiments.migration.checks.yaml_words import read_text
from pilothouse.experiments.migration.types import Finding, change, note

_VERBS: Final = "flow|run|connection|config|tool|trace|service|upgrade|experiment"
# A call stands at the start of a command: of the line, behind `- `, `run: `, `RUN `, `&&`, `|`, `$(`, quotes, `-m `.
_CALL = re.compile(
    r"(?:^\s*(?:-\s+)?|[:;&|(`\"'!@\[]\s*|\b(?:RUN|CMD|then|do|exec)\s+|-m\s+)[\"']?(?P<tool>pfazure|pf|promptflow)[\"',]*"
    rf"\s+[\"']?(?P<verb>{_VERBS})\b[\"',]*(?:\s+[\"']?(?P<action>[a-z][a-z-]+))?"
)
_TEMPLATE = re.compile(r"-m\s+(?P<module>(?:llmops|promptflow_genaiops)\.[\w.]+)")
_IMAGE = re.compile(r"(?P<image>[\w./-]*promptflow[\w./-]*?(?:runtime|python)[\w.-]*)(?::[\w.-]+)?", re.IGNORECASE)
_INSTALL = re.compile(r"\bpip3?\s+install\s+(?P<what>.+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_COMMENT = re.compile(r"\s*(#|//|::|REM\b)")

_OWN_VERBS: Final = {
    "flow": "pilothouse flow",
    "run": "pilothouse run",
    "connection": "pilothouse connection",
    "experiment": "pilothouse experiment",
}
_NEEDLESS: Final = {
    "service": "no service runs in the background here: the line can go",
    "upgrade": "upgrade the package as any other: pip install --upgrade pilothouse",
    "config": "settings stand in pilothouse.yaml; there is no telemetry to turn off",
    "trace": "traces: pilothouse trace list",
    "tool": "tools need no list: a node names its file or its id",
}


def check_script(path: Path) -> Iterator[Finding]:
    """Yield what a script, pipeline, make file or container file calls of prompt flow."""
    try:
        lines = read_text(path).splitlines()
    except ConfigError as error:
        yield refusal(error, path)
        return
    yield from check_lines(lines)


def check_lines(lines: Iterable[str]) -> Iterator[Finding]:
    """Yield what lines of commands call of prompt flow; comments are passed over."""
    for number, line in enumerate(lines, 1):
        if _COMMENT.match(line):
            continue
        for call in _CALL.finditer(line):
            yield _called(call, number)
        template = _TEMPLATE.search(line)
        if template:
            yield change(
                f"calls '{template['module']}' of the GenAIOps template, which drives Azure ML",
                "pilothouse migrate experiment experiment.yaml, then pilothouse experiment run FILE in its place",
                number,
            )
        image = _IMAGE.search(line)
        if image:
            yield change(
                f"uses prompt flow's image '{image['image']}', which gets no more security updates",
                "pilothouse flow build PATH --format docker writes a container file on a current Python",
                number,
            )
        yield from _installed(line, number)


def _called(call: re.Match[str], number: int) -> Finding:
    said = " ".join(filter(None, (call["tool"], call["verb"], call["action"])))
    if call["tool"] == "pfazure":
        return change(
            f"calls `{said}`, which works with Azure ML alone",
            f"pilothouse {call['verb']} {call['action'] or ''}".rstrip()
            + " on this machine or on that of the pipeline",
            number,
        )
    verb = call["verb"]
    if verb in _NEEDLESS:
        return note(f"calls `{said}`: {_NEEDLESS[verb]}", number)
    return note(
        f"calls `{said}`: the `pf` that Pilothouse installs takes the old verbs and flags",
        number,
        f"in its own words: {_OWN_VERBS[verb]} {call['action'] or ''}".rstrip(),
    )


def _installed(line: str, number: int) -> Iterator[Finding]:
    install = _INSTALL.search(line)
    for word in install["what"].split() if install else ():
        match = _NAME.match(word.strip("'\""))
        name = re.sub(r"[_.-]+", "-", match[0]).lower() if match else ""
        if name in REQUIREMENTS:
            yield note(f"installs '{name}': {REQUIREMENTS[name]}", number, "install pilothouse in its place")
