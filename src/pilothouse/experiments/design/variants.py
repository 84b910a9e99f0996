"""The arms of an experiment: which combinations of the levels of its axes are run, and what they are called.

A *space* is ``node -> variant ids``, the node's default first.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Annotated, Any

from msgspec import Meta, Struct

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.experiments.design.axes import Axis, Level, identity, joined
from pilothouse.experiments.design.levels import divided
from pilothouse.experiments.types import Design, Variant

Space = Mapping[str, tuple[str, ...]]
Where = Callable[..., str]
Wanted = str | Sequence[str] | Mapping[str, Mapping[str, Any]]

MOST_VARIANTS = 500
"""Arms beyond which a design is taken for a mistake."""

_TRIES = 1000
_FEWER = "name fewer variants, or use `design: one-factor` or `design: sample`"
_REFERENCE = re.compile(r"^(?:\$\{)?(?P<node>[^.${}]+)\.(?P<variant>[^${}]+?)\}?$")


class Sample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many arms are drawn, the baseline among them, and the seed of the draw."""

    size: Annotated[int, Meta(ge=2, le=MOST_VARIANTS)]
    seed: Annotated[int, Meta(ge=0)] = 7


def expand(
    space: Space,
    wanted: Wanted,
    design: Design,
    where: Where,
    axes: Sequence[Axis] = (),
    sample: Sample | None = None,
) -> tuple[Variant, ...]:
    """Return the arms that an experiment file asks for.

    Args:
        space: The flow's nodes with variants and their variant ids, defaults first.
        wanted: ``all``, a list of ``${node.variant}``, or ``name -> {node: variant, node.setting: value}``.
        design: How the levels of several axes combine; named arms without axes are taken as they stand.
        where: The file and line of an entry.
        axes: Axes beside the variants.
        sample: How the arms of the design ``sample`` are drawn.

    Raises:
        ConfigError: for an unknown node or variant, two arms that are the same, or too many arms.
    """
    _check_choices(space, axes, where)
    if isinstance(wanted, Mapping) and not axes:
        return _named(space, wanted, where)
    own = _variant_axes(space, wanted, axes, where)
    combined = [*own, *axes]
    if design == "sample":
        return _sample(combined, sample, where)
    ranged = next((axis for axis in combined if axis.range is not None), None)
    if ranged is not None:
        raise ConfigError(
            f"the axis '{ranged.name}' is a range, which has no levels to go through",
            where=where(*ranged.keys),
            fix="draw from it with `design: sample`, or list its values",
        )
    return _one_factor(combined, where) if design == "one-factor" else _grid(combined, where)


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


# Axes


def _variant_axes(space: Space, wanted: Wanted, axes: Sequence[Axis], where: Where) -> list[Axis]:
    """Return an axis for each node that has variants and that no other axis chooses for."""
    if isinstance(wanted, Mapping):
        taken = {path for axis in axes for path in axis.paths}
        arms = _named(space, wanted, where, {node: ids for node, ids in space.items() if node not in taken})
        levels = tuple(
            Level(name=arm.name, full=f"variants.{arm.name}", choices=arm.choices, settings=arm.settings)
            for arm in arms
        )
        named = Axis(name="variants", levels=levels, base=levels[0], keys=("variants",))
        _refuse_shared(named, axes, where)
        return [named]
    taken = {path for axis in axes for path in axis.paths}
    if isinstance(wanted, str):
        if wanted != "all":
            raise ConfigError(
                f"'{wanted}' is not a choice of variants",
                where=where("variants"),
                expected="all, a list of '${node.variant}', or a mapping of names to {node: variant}",
            )
        chosen = dict(space)
    else:
        chosen = _select(space, wanted, taken, where)
    return [_variants_of(node, ids, space[node][0]) for node, ids in chosen.items() if node not in taken]


def _variants_of(node: str, ids: Sequence[str], default: str) -> Axis:
    def level(variant: str) -> Level:
        return Level(name=variant, full=f"{node}.{variant}", choices={node: variant})

    return Axis(name=node, levels=tuple(map(level, ids)), base=level(default), keys=("variants",))


def _select(space: Space, references: Sequence[str], taken: set[str], where: Where) -> dict[str, tuple[str, ...]]:
    """Return the part of ``space`` that ``${node.variant}`` references name; other nodes keep their default."""
    chosen: dict[str, list[str]] = {}
    for index, text in enumerate(references):
        match = _REFERENCE.match(text.strip())
        if match is None:
            raise ConfigError(
                f"'{text}' names no variant", where=where("variants", index), expected="'${node.variant}'"
            )
        node, variant = match["node"].strip(), match["variant"].strip()
        _check_choice(space, node, variant, where("variants", index))
        if node in taken:
            raise ConfigError(f"an axis chooses the variant of '{node}' already", where=where("variants", index))
        if variant not in chosen.setdefault(node, []):
            chosen[node].append(variant)
    return {node: tuple(chosen.get(node, ids[:1])) for node, ids in space.items()}


def _refuse_shared(named: Axis, axes: Sequence[Axis], where: Where) -> None:
    for axis in axes:
        both = sorted(named.paths & axis.paths)
        if both:
            raise ConfigError(
                f"the axis '{axis.name}' and the named variants both set '{both[0]}'", where=where(*axis.keys)
            )


# Designs


def _grid(axes: Sequence[Axis], where: Where) -> tuple[Variant, ...]:
    """Return every combination; the first is all first levels."""
    _refuse_many(math.prod(len(axis.levels) for axis in axes), "the full grid has {:,} combinations", where)
    return tuple(joined(_name(axes, levels), levels) for levels in map(list, _products(axes)))


def _products(axes: Sequence[Axis]) -> itertools.product[tuple[Level, ...]]:
    return itertools.product(*(axis.levels for axis in axes))


def _one_factor(axes: Sequence[Axis], where: Where) -> tuple[Variant, ...]:
    """Return the baseline, then one arm for every other level of every axis.

    With a single axis that has a choice, the arms carry the levels' own names.
    """
    base = [axis.base for axis in axes]
    varied = [axis for axis in axes if axis.others]
    if not varied:
        return (joined(_name(axes, base), base),)
    _refuse_many(1 + sum(len(axis.others) for axis in varied), "one change at a time makes {:,} variants", where)
    arms = [joined(varied[0].base.name if len(varied) == 1 else "defaults", base)]
    names = Counter(level.name for axis in varied for level in axis.others)
    for axis in varied:
        for level in axis.others:
            name = level.name if names[level.name] == 1 and level.name != "defaults" else level.full
            arms.append(joined(name, [level if other is axis else other.base for other in axes]))
    return tuple(arms)


def _sample(axes: Sequence[Axis], sample: Sample | None, where: Where) -> tuple[Variant, ...]:
    """Return the baseline and distinct random draws; the same seed gives the same arms."""
    if sample is None:
        raise ConfigError("a sample needs a size", where=where("design"), expected="sample: {size: 20, seed: 7}")
    finite = all(axis.range is None for axis in axes)
    most = math.prod(len({identity(level.content) for level in (axis.base, *axis.levels)}) for axis in axes)
    if finite and sample.size > most:
        raise ConfigError(
            f"the space has only {most:,} combinations, and the sample is to have {sample.size}",
            where=where("sample", "size"),
            fix="draw fewer, or go through all of them with `design: grid`",
        )
    random = Random(sample.seed)  # noqa: S311 - a design, not a secret
    drawn = {identity(_content(base)): base for base in ([axis.base for axis in axes],)}
    for _ in range(_TRIES * sample.size):
        if len(drawn) == sample.size:
            break
        levels = [axis.draw(random) for axis in axes]
        drawn.setdefault(identity(_content(levels)), levels)
    if len(drawn) < sample.size:
        raise ConfigError(
            f"the space has hardly more than {len(drawn):,} combinations, and the sample is to have {sample.size}",
            where=where("sample", "size"),
            fix="draw fewer, or widen the ranges",
        )
    return tuple(joined(_name(axes, levels), levels) for levels in drawn.values())


def _content(levels: Sequence[Level]) -> dict[str, Any]:
    return {path: value for level in levels for path, value in level.content.items()}


def _refuse_many(size: int, text: str, where: Where) -> None:
    if size > MOST_VARIANTS:
        raise ConfigError(text.format(size), where=where("design"), expected=f"at most {MOST_VARIANTS}", fix=_FEWER)


def _name(axes: Sequence[Axis], levels: Sequence[Level]) -> str:
    """Return the shortest name that tells the arm apart: levels alone where no two axes share one."""
    varied = [place for place, axis in enumerate(axes) if axis.range is not None or len(axis.levels) > 1]
    shown = varied or [place for place, axis in enumerate(axes) if axis.keys == ("variants",)]
    if not shown:
        return "default"
    shared = Counter(name for place in shown for name in {level.name for level in axes[place].levels})
    is_clear = all(count == 1 for count in shared.values())
    return "+".join(levels[place].name if is_clear else levels[place].full for place in shown)


# Named arms


def _named(
    space: Space, wanted: Mapping[str, Mapping[str, Any]], where: Where, own: Space | None = None
) -> tuple[Variant, ...]:
    """Return the arms as they are written, the nodes of ``own`` that they do not name at their defaults."""
    own = space if own is None else own
    arms: list[Variant] = []
    seen: dict[bytes, str] = {}
    for name, content in wanted.items():
        choices, settings = divided(content)
        for node, variant in choices.items():
            _check_choice(space, node, variant, where("variants", name, node))
        full = Variant(name=name, choices={**{node: ids[0] for node, ids in own.items()}, **choices}, settings=settings)
        twin = seen.setdefault(identity(full.content), name)
        if twin != name:
            raise ConfigError(f"'{name}' is the same variant as '{twin}'", where=where("variants", name))
        arms.append(full)
    if not arms:
        raise ConfigError("no variant is named", where=where("variants"), expected="name: {node: variant}")
    return tuple(arms)


def _check_choices(space: Space, axes: Sequence[Axis], where: Where) -> None:
    for axis in axes:
        for place, level in enumerate(axis.levels):
            at = place if level.full.endswith(f".{level.name}") and axis.name in level.choices else level.name
            for node, variant in level.choices.items():
                _check_choice(space, node, variant, where(*axis.keys, at))


def _check_choice(space: Space, node: str, variant: str, where: str) -> None:
    if node not in space:
        raise ConfigError(
            f"the flow has no variants of a node '{node}'", where=where, expected=nearest_hint(node, space)
        )
    if variant not in space[node]:
        raise ConfigError(
            f"the node '{node}' has no variant '{variant}'", where=where, expected=nearest_hint(variant, space[node])
        )
