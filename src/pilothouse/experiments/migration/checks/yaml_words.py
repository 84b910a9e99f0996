"""Plain YAML words that prompt flow's reader and ours take for different things.

Prompt flow reads flows with ruamel.yaml, which keeps to YAML 1.2 but for dates, binary numbers and underscores; the
GenAIOps template reads its files with PyYAML, which is YAML 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pilothouse.core.errors import ConfigError
from pilothouse.experiments.migration.types import Finding, note

_YAML: Any = yaml
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_BOTH = (
    (re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?"), "a date"),
    (re.compile(r"[-+]?0b[01_]+"), "a binary number"),
    (re.compile(r"[-+]?\d[\d.]*_[\d_.]*"), "a number"),
)
_TEMPLATE = (
    (re.compile(r"(yes|no|on|off)", re.IGNORECASE), "true or false"),
    (re.compile(r"[-+]?0[0-7]+"), "an octal number"),
    (re.compile(r"[-+]?\d+(:[0-5]?\d)+"), "a number to the base of 60"),
)


def check_words(text: str, *, template: bool = False) -> Iterator[Finding]:
    """Yield a note for each plain word that has another meaning here.

    Args:
        text: The YAML text.
        template: Whether it is a file of the GenAIOps template, which was read as YAML 1.1.

    Raises:
        ConfigError: never for text that `parse_yaml` accepts.
    """
    rules = (*_BOTH, *_TEMPLATE) if template else _BOTH
    try:
        for event in _YAML.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and not event.style:
                for pattern, meaning in rules:
                    if pattern.fullmatch(event.value):
                        yield note(
                            f"'{event.value}' was {meaning} there and is {_here(event.value)} here",
                            event.start_mark.line + 1,
                            "put quotes around it if a text is meant",
                        )
    except yaml.YAMLError as error:
        raise ConfigError("this is not YAML") from error


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: when it cannot be read or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}", where=str(path)) from error


def _here(word: str) -> str:
    return "a decimal number" if re.fullmatch(r"[-+]?\d+", word) else "a text"
