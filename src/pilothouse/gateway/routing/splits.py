"""Which arm of an experiment in traffic a call belongs to.

A unit's place is a hash of its name alone, so it keeps its arm in every process and across restarts. Raising an arm's
weight moves units into that arm and nowhere else, because each unit takes the arm it prefers most (rendezvous) and
only that arm's pull has grown. Experiments of one namespace take intervals of one hash that do not overlap, in the
order of their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from msgspec import Struct

from pilothouse.core.canonical import digest
from pilothouse.gateway.routing.hashing import fraction, preference
from pilothouse.gateway.routing.types import RoutingRequest
from pilothouse.gateway.settings import TrafficExperiment

Unit = Literal["user", "session", "key"]

_LETTERS: Final = 16


class Assignment(Struct, frozen=True, kw_only=True):
    """A call's place in an experiment.

    Attributes:
        experiment: Its name.
        arm: Its arm.
        unit: What keeps the arm; empty where the call had none and the arm was drawn for this call alone.
    """

    experiment: str
    arm: str
    unit: str


class Split(Struct, frozen=True, kw_only=True):
    """An experiment, ready to assign.

    Attributes:
        settings: As configured.
        start: Begin of its interval of the namespace, 0 to 1.
        end: End of it; units from ``start`` to ``end`` take part.
    """

    settings: TrafficExperiment
    start: float = 0.0
    end: float = 1.0

    def assign(self, request: RoutingRequest, weights: Mapping[str, float] | None = None) -> Assignment | None:
        """Return a call's arm, None where it takes no part.

        Args:
            request: The call.
            weights: Arm to its weight, in place of the configured ones.
        """
        settings = self.settings
        unit = unit_of(request, settings.unit)
        name = f"{settings.unit}:{unit}" if unit else f"call:{request.call_id}"
        if self.end - self.start < 1.0:
            place = fraction(f"namespace {settings.namespace or settings.name}", name)
            if not self.start <= place < self.end:
                return None
        best, arm = 0.0, ""
        for candidate, configured in settings.arms.items():
            weight = configured if weights is None else weights.get(candidate, 0.0)
            if weight <= 0 or configured <= 0:
                continue
            pull = preference(f"arm {settings.name}\0{candidate}", name, weight)
            if pull > best:
                best, arm = pull, candidate
        return Assignment(experiment=settings.name, arm=arm, unit=name if unit else "") if arm else None


def unit_of(request: RoutingRequest, unit: Unit) -> str:
    """Return the name of a call's user, session or key; empty where it has none. A user belongs to one tenant."""
    if unit == "key":
        return request.tenant.key
    found = request.user if unit == "user" else request.session
    tenant = request.tenant
    return f"{tenant.organisation}/{tenant.team}/{found}" if found and tenant.organisation else found


def splits_of(experiments: Iterable[TrafficExperiment]) -> dict[str, Split]:
    """Give each experiment its interval of its namespace; by name.

    The sum of ``traffic`` in a namespace must not pass 1: what would is cut off, and refused by the configuration.
    """
    taken: dict[str, float] = {}
    found: dict[str, Split] = {}
    for settings in sorted(experiments, key=lambda item: item.name):
        space = settings.namespace or f"\0{settings.name}"
        start = taken.get(space, 0.0)
        end = min(1.0, start + settings.traffic)
        taken[space] = end
        found[settings.name] = Split(settings=settings, start=start, end=end)
    return found


def edition(experiment: TrafficExperiment) -> str:
    """Return what tells two states of an experiment apart whose feedback must not be added up.

    Weights, traffic and the bandit's floor may change within one; who is assigned, to what, and what is measured may
    not.
    """
    metric = experiment.bandit.metric if experiment.bandit else ""
    content = [
        experiment.name,
        experiment.unit,
        experiment.namespace,
        sorted(experiment.arms),
        {arm: sorted(names) for arm, names in experiment.deployments.items()},
        metric,
    ]
    return digest(content)[:_LETTERS]
