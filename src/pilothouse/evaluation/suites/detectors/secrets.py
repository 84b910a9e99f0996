"""Secrets in a text: keys whose shape their makers publish, JSON web tokens, private keys."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator

from pilothouse.evaluation.suites.detectors.finding import Finding, found

_LEFT, _RIGHT = r"(?<![A-Za-z0-9_-])", r"(?![A-Za-z0-9_-])"
_SHAPES = {
    name: re.compile(_LEFT + shape + _RIGHT)
    for name, shape in {
        "AWS access key": r"(?:AKIA|ASIA)[A-Z2-7]{16}",
        "OpenAI key": r"sk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,200}",
        "GitHub token": r"gh[pousr]_[A-Za-z0-9]{36}",
        "GitHub fine-grained token": r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
        "Slack token": r"xox[abprs]-[A-Za-z0-9-]{10,80}",
        "Google API key": r"AIza[A-Za-z0-9_-]{35}",
    }.items()
}
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_JWT = re.compile(_LEFT + r"(eyJ[A-Za-z0-9_-]{8,})\.(eyJ[A-Za-z0-9_-]{4,})\.[A-Za-z0-9_-]*" + _RIGHT)
_LEAST_KINDS = 8
"""Different characters that a key has at least: `sk-xxxxxxxxxxxxxxxxxxxxxxxx` in a manual is none."""


def secrets(text: str) -> tuple[Finding, ...]:
    """Return the secrets in ``text``, masked."""
    return tuple(_all(text))


def _all(text: str) -> Iterator[Finding]:
    for name, shape in _SHAPES.items():
        for match in shape.finditer(text):
            if len(set(match[0])) >= _LEAST_KINDS and any(character.isdigit() for character in match[0]):
                yield found(name, match[0])
    for match in _JWT.finditer(text):
        if _is_header(match[1]):
            yield found("JSON web token", match[0])
    for match in _PRIVATE.finditer(text):
        yield found("private key", match[0])


def _is_header(part: str) -> bool:
    """Return whether the first part of a token is what every JSON web token begins with."""
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header
