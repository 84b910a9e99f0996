"""What a sequential experiment may not be combined with, said before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.sequential.types import Sequential
from pilothouse.experiments.types import Variant

KEY = "sequential"


def check_sequential(
    rule: Sequential | None, arms: Sequence[Variant], unsure: Mapping[str, object], where: Callable[..., str]
) -> Sequential | None:
    """Return the rule, unless the experiment asks for something that has no guarantee when it stops by what it sees.

    Args:
        rule: How the experiment looks; None = not more than once.
        arms: Its arms.
        unsure: ``slices`` and ``gate``, as far as the file has them.
        where: From keys to ``file:line``.

    Raises:
        ConfigError: with file and line.
    """
    if rule is None:
        return None
    if len(arms) < 2:
        raise ConfigError(
            "there is nothing to decide: the experiment has one variant",
            where=where(KEY),
            expected="a baseline and at least one other variant",
            fix="remove `sequential`, or add a variant",
        )
    if rule.max_rows is not None and max(rule.look_every, rule.min_rows or 1) > rule.max_rows:
        raise ConfigError(
            f"the first look would be after more than the {rule.max_rows:,} rows that `max_rows` allows",
            where=where(KEY, "max_rows"),
            expected="look_every and min_rows of at most max_rows",
        )
    if unsure.get("slices") is not None:
        raise ConfigError(
            "slices have no guarantee where an experiment stops by what it saw of all rows",
            where=where("slices"),
            fix="remove `sequential` to compare slices, or `slices` to stop early",
        )
    if unsure.get("gate") is not None:
        raise ConfigError(
            "a gate is right at a fixed number of rows, and too often wrong where an experiment stops by what it saw",
            where=where("gate"),
            fix="give the gate a file of its own that runs all rows: extends: THIS FILE, sequential: null, gate: ...",
        )
    return rule
