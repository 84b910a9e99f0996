"""The arms of an experiment: which combinations of a flow's variants are run, and what they are called.

A *space* is ``node -> variant ids``, the node's default first.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.experiments.types import Design, Variant

Space = Mapping[str, tuple[str, ...]]
Where = Callable[..., str]

MOST_VARIANTS = 500
"""Arms beyond which a grid is taken for a mistake."""

_REFERENCE = re.compile(r"^(?:\$\{)?(?P<node>[^.${}]+)\.(?P<variant>[^${}]+?)\}?$")


def select(space: Space, references: Sequence[str], where: Where) -> dict[str, tuple[str, ...]]:
    """Return the part of ``space`` that ``${node.variant}`` references name; other nodes keep their default.

    Raises:
        ConfigError: for text that is no reference, an unknown node or an unknown variant.
    """
    chosen: dict[str, list[str]] = {}
    for index, text in enumerate(references):
        match = _REFERENCE.match(text.strip())
        if match is None:
            raise ConfigError(
                f"'{text}' names no variant", where=where("variants", index), expected="'${node.variant}'"
            )
        node, variant = match["node"].strip(), match["variant"].strip()
        _check_choice(space, node, variant, where("variants", index))
        if variant not in chosen.setdefault(node, []):
            chosen[node].append(variant)
    return {node: tuple(chosen.get(node, ids[:1])) for node, ids in space.items()}


def grid(space: Space, where: Where) -> tuple[Variant, ...]:
    """Return every combination; the first is all first choices.

    Raises:
        ConfigError: when there are more than `MOST_VARIANTS`.
    """
    size = math.prod(len(ids) for ids in space.values())
    if size > MOST_VARIANTS:
        raise ConfigError(
            f"the full grid has {size:,} combinations",
            where=where("design"),
            expected=f"at most {MOST_VARIANTS}",
            fix="name fewer variants, or use `design: one-factor`",
        )
    combinations = (dict(zip(space, ids, strict=True)) for ids in itertools.product(*space.values()))
    return tuple(Variant(name=_grid_name(space, choices), choices=choices) for choices in combinations)


def one_factor(space: Space, defaults: Mapping[str, str]) -> tuple[Variant, ...]:
    """Return the all-default arm, then one arm for every other choice of every node.

    With a single node that has a choice, the arms carry the variants' own names.
    """
    varied = [node for node, ids in space.items() if any(variant != defaults[node] for variant in ids)]
    if not varied:
        return (Variant(name=_grid_name(space, defaults), choices=dict(defaults)),)
    alone = len(varied) == 1
    first = Variant(name=defaults[varied[0]] if alone else "defaults", choices=dict(defaults))
    names = Counter(variant for node in varied for variant in space[node] if variant != defaults[node])
    arms = [first]
    for node in varied:
        for variant in space[node]:
            if variant != defaults[node]:
                name = variant if names[variant] == 1 and variant != "defaults" else f"{node}.{variant}"
                arms.append(Variant(name=name, choices={**defaults, node: variant}))
    return tuple(arms)


def expand(
    space: Space, wanted: str | Sequence[str] | Mapping[str, Mapping[str, str]], design: Design, where: Where
) -> tuple[Variant, ...]:
    """Return the arms that ``variants:`` of an experiment file asks for.

    Args:
        space: The flow's nodes with variants and their variant ids, defaults first.
        wanted: ``all``, a list of ``${node.variant}``, or ``name -> {node: variant}``.
        design: How several nodes' variants combine; named arms are taken as they stand.
        where: The file and line of an entry.

    Raises:
        ConfigError: for an unknown node or variant, two arms that are the same, or too many arms.
    """
    if isinstance(wanted, Mapping):
        return _named(space, wanted, where)
    if isinstance(wanted, str):
        if wanted != "all":
            raise ConfigError(
                f"'{wanted}' is not a choice of variants",
                where=where("variants"),
                expected="all, a list of '${node.variant}', or a mapping of names to {node: variant}",
            )
        chosen = dict(space)
    else:
        chosen = select(space, wanted, where)
    if design == "one-factor":
        return one_factor(chosen, {node: ids[0] for node, ids in space.items()})
    return grid(chosen, where)


def find(arms: Sequence[Variant], text: str, space: Space, where: str) -> Variant:
    """Return the arm called ``text``, or the one whose choices ``node.variant+node.variant`` names.

    Raises:
        ConfigError: when no arm is meant by it.
    """
    for arm in arms:
        if arm.name == text:
            return arm
    matches = [_REFERENCE.match(part.strip()) for part in text.split("+")]
    if all(matches):
        choices = {node: ids[0] for node, ids in space.items()}
        choices |= {match["node"]: match["variant"] for match in matches if match}
        for arm in arms:
            if {**{node: ids[0] for node, ids in space.items()}, **arm.choices} == choices:
                return arm
    raise ConfigError(
        f"no variant of this experiment is called '{text}'",
        where=where,
        expected=nearest_hint(text, [arm.name for arm in arms]),
    )


def _named(space: Space, wanted: Mapping[str, Mapping[str, str]], where: Where) -> tuple[Variant, ...]:
    arms: list[Variant] = []
    seen: dict[tuple[tuple[str, str], ...], str] = {}
    for name, choices in wanted.items():
        for node, variant in choices.items():
            _check_choice(space, node, variant, where("variants", name, node))
        full = {**{node: ids[0] for node, ids in space.items()}, **choices}
        twin = seen.setdefault(tuple(sorted(full.items())), name)
        if twin != name:
            raise ConfigError(f"'{name}' is the same variant as '{twin}'", where=where("variants", name))
        arms.append(Variant(name=name, choices=full))
    if not arms:
        raise ConfigError("no variant is named", where=where("variants"), expected="name: {node: variant}")
    return tuple(arms)


def _check_choice(space: Space, node: str, variant: str, where: str) -> None:
    if node not in space:
        raise ConfigError(
            f"the flow has no variants of a node '{node}'", where=where, expected=nearest_hint(node, space)
        )
    if variant not in space[node]:
        raise ConfigError(
            f"the node '{node}' has no variant '{variant}'", where=where, expected=nearest_hint(variant, space[node])
        )


def _grid_name(space: Space, choices: Mapping[str, str]) -> str:
    """Return the shortest name that tells the arm apart: variant ids alone where no two nodes share one."""
    varied = [node for node, ids in space.items() if len(ids) > 1] or list(space)
    if not varied:
        return "default"
    shared = Counter(variant for node in varied for variant in set(space[node]))
    clear = all(count == 1 for count in shared.values())
    return "+".join(choices[node] if clear else f"{node}.{choices[node]}" for node in varied)
