"""The table of suites."""

from __future__ import annotations

from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.evaluation.suites.catalogue import (
    bias,
    consistency,
    hallucination,
    injection,
    jailbreak,
    personal,
    refusal,
    robustness,
    secrets,
    style,
    toxicity,
)
from pilothouse.evaluation.suites.types import Suite

SUITES: dict[str, Suite] = {
    module.SUITE.name: module.SUITE
    for module in (
        bias,
        consistency,
        hallucination,
        injection,
        jailbreak,
        personal,
        refusal,
        robustness,
        secrets,
        style,
        toxicity,
    )
}


def suite_named(name: str) -> Suite:
    """Return a suite.

    Raises:
        NotFound: there is none of this name.
    """
    if name not in SUITES:
        raise NotFound(f"there is no suite '{name}'; {nearest_hint(name, SUITES)}", fix="pilothouse suite list")
    return SUITES[name]
