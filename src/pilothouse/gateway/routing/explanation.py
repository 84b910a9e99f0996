"""What would be done with a call, and why: the same choices as of a real one, each attempt taken to fail."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from pilothouse.gateway.routing.selection import Selection
from pilothouse.gateway.routing.splits import Assignment


class Choice(Struct, frozen=True, kw_only=True):
    """A deployment that would be asked.

    Attributes:
        route: Where it stands.
        deployment: Its id.
        model: The model's name there.
        wait: Seconds to wait before.
        note: What is unusual about it; empty for nothing.
    """

    route: str
    deployment: str
    model: str
    wait: float = 0.0
    note: Literal["", "trial", "queued", "resting", "before its time"] = ""


class Exclusion(Struct, frozen=True, kw_only=True):
    """A deployment that would not be asked.

    Attributes:
        route: Where it stands.
        deployment: Its id.
        reason: Why, in words.
        seconds: Until the reason is gone, where time alone does it; 0 otherwise.
    """

    route: str
    deployment: str
    reason: str
    seconds: float = 0.0


class Explanation(Struct, frozen=True, kw_only=True):
    """What would be done with a call.

    Attributes:
        route: What was asked for.
        strategy: How one is chosen among equals.
        choices: Whom it would go to, each after the failure of the one before; without the attempts cap.
        attempts: How many of them at most.
        exclusions: Who is left out.
        experiment: The experiment it would take part in; empty for none.
        arm: Its arm.
        unit: What keeps the arm; empty where it would be drawn for this call alone.
        hedge_after: Seconds until a second attempt would start beside the first.
        shadow: Who would get a copy; empty for nobody.
    """

    route: str
    strategy: str
    choices: tuple[Choice, ...]
    attempts: int
    exclusions: tuple[Exclusion, ...]
    experiment: str = ""
    arm: str = ""
    unit: str = ""
    hedge_after: float | None = None
    shadow: str = ""


_WORDS = {
    "open": "its breaker is open",
    "trial": "its breaker is half-open and a trial runs",
    "resting": "it asked to be left alone",
    "full": "as many calls are in flight as it may have",
}


def explained(selection: Selection, assignment: Assignment | None, now: float, *, shadow: bool) -> Explanation:
    """Return what would be done with the call of ``selection``."""
    route = selection.plan.route
    settings = route.settings
    choices = _choices(selection, now)
    asked = {(choice.route, choice.deployment) for choice in choices}
    return Explanation(
        route=route.name,
        strategy=settings.strategy,
        choices=choices,
        attempts=settings.retries.attempts,
        exclusions=tuple(item for item in _exclusions(selection, now) if (item.route, item.deployment) not in asked),
        experiment=assignment.experiment if assignment else "",
        arm=assignment.arm if assignment else "",
        unit=assignment.unit if assignment else "",
        hedge_after=settings.hedge.after if settings.hedge else None,
        shadow=settings.shadow.deployment if settings.shadow and shadow else "",
    )


def _choices(selection: Selection, now: float) -> tuple[Choice, ...]:
    found: list[Choice] = []
    tried: set[str] = set()
    while (item := selection.choose(tried, now, len(found))) is not None:
        tried.add(item.id)
        health = selection.health(item)
        queued = item.slots is not None and health.in_flight >= item.slots
        note = "trial" if health.is_open else "queued" if queued else ""
        found.append(Choice(route=item.route.name, deployment=item.id, model=item.deployment.model, note=note))
    if found:
        return tuple(found)
    rest = selection.resting(now, selection.plan.route.settings.retries.longest)
    if rest is not None:
        item, wait = rest
        return (
            Choice(route=item.route.name, deployment=item.id, model=item.deployment.model, wait=wait, note="resting"),
        )
    early = selection.early(now)
    if early is None:
        return ()
    model = early.deployment.model
    return (Choice(route=early.route.name, deployment=early.id, model=model, note="before its time"),)


def _exclusions(selection: Selection, now: float) -> list[Exclusion]:
    found: list[Exclusion] = []
    for plan in selection.routes():
        arm = selection.arm if plan is selection.plan else ""
        for item in plan.candidates:
            barrier = plan.barrier(item, selection.request.wire, arm)
            obstacle = "" if barrier else selection.obstacle(item, now)
            reason = barrier or _WORDS.get(obstacle, obstacle) or "it stands in an earlier route, too"
            seconds = 0.0 if barrier else selection.health(item).seconds(now)
            found.append(Exclusion(route=plan.route.name, deployment=item.id, reason=reason, seconds=seconds))
    return found
