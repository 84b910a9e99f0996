"""Factors of an experiment: what changes together is one, and what an effect is held against."""

from __future__ import annotations

from pilothouse.experiments.analysis.effects import levels_of
from pilothouse.experiments.types import Variant


def test_settings_that_always_change_together_are_one_factor() -> None:
    strict = {"ask.policy": "strict", "inputs.filter": True}
    lax = {"ask.policy": "lax", "inputs.filter": False}
    variants = [
        Variant(name=f"{name}-{k}", choices={"ask": "long"}, settings={**policy, "inputs.k": k})
        for name, policy in (("strict", strict), ("lax", lax))
        for k in (1, 4)
    ]
    levels = levels_of(variants)

    assert levels["strict-1"] == {
        "ask": "long",
        "ask.policy and inputs.filter": "strict, true",
        "inputs.k": "1",
    }
    assert levels["lax-4"]["ask.policy and inputs.filter"] == "lax, false"


def test_what_an_arm_does_not_set_is_a_level_too() -> None:
    levels = levels_of([Variant(name="a"), Variant(name="b", settings={"ask.temperature": 0.7})])

    assert levels == {"a": {"ask.temperature": "–"}, "b": {"ask.temperature": "0.7"}}
