"""What calls were worth, told over HTTP by whoever used the answer."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from pilothouse.access.doors import Asked, Operation
from pilothouse.access.roles import allows
from pilothouse.core.errors import NotFound
from pilothouse.gateway.admin.changing import configuration
from pilothouse.gateway.cache.shelf import CacheShelf
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.routing.feedback.service import LONGEST_COMMENT, FeedbackService
from pilothouse.gateway.settings import TrafficExperiment
from pilothouse.gateway.types import LedgerEntry

THUMBS: Final = "thumbs"
"""The score that is a verdict wherever no experiment says which one is."""


class Feedback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a call was worth.

    Attributes:
        call_id: The call, as the header `x-pilothouse-call` named it.
        name: Of the score; ``thumbs`` is a verdict on the answer.
        value: True, false, or a number from 0 to 1.
        comment: What is said beside it; empty keeps what was said before.
    """

    call_id: str
    name: str
    value: bool | float
    comment: Annotated[str, Meta(max_length=LONGEST_COMMENT)] = ""


class Taken(Struct, frozen=True, kw_only=True):
    """What became of a feedback.

    Attributes:
        status: ``new``; ``same`` where the call had this value already; ``changed`` where it had another.
        previous: The value before; null where there was none.
        experiment: Whose arm it counts for; empty for none.
        evicted: Whether a cache forgot the answer, so that nobody gets it again.
    """

    status: Literal["new", "same", "changed"]
    previous: float | None
    experiment: str
    evicted: bool


async def give_feedback(asked: Asked) -> Taken:
    """Keep what a call was worth; a caller tells it of its own key's calls alone.

    A call that took part in an experiment that still runs moves its bandit. A thumbs-down, the score ``thumbs`` or
    that of the experiment's bandit with 0, makes the caches forget the answer.

    Raises:
        NotFound: when there is no such call, or it is somebody else's.
        DataError: for a value that is not from 0 to 1.
    """
    feedback: Feedback = asked.body
    entry, experiment, taken = await asyncio.to_thread(_record, asked, feedback)
    verdicts = {
        THUMBS,
        experiment.bandit.metric if experiment is not None and experiment.bandit is not None else THUMBS,
    }
    if feedback.value != 0 or feedback.name not in verdicts:
        return taken
    # On the loop that the caches belong to.
    evicted = await asked.services.get(CacheShelf).evict(entry.route, entry.id)
    return Taken(status=taken.status, previous=taken.previous, experiment=taken.experiment, evicted=evicted)


def _record(asked: Asked, feedback: Feedback) -> tuple[LedgerEntry, TrafficExperiment | None, Taken]:
    entry = asked.services.get(LedgerService).call(feedback.call_id).entry
    is_own = not asked.acting.key or allows(asked.role, "ledger.read") or entry.tenant.key == asked.acting.key
    if not is_own or (asked.organisation and entry.tenant.organisation != asked.organisation):
        raise NotFound(f"the ledger has no call '{feedback.call_id}'")
    active = configuration(asked.services)
    routes = active.settings.routes.values() if active else ()
    experiments = [route.experiment for route in routes if route.experiment is not None]
    experiment = next((item for item in experiments if item.name == entry.experiment), None)
    recorded = asked.services.get(FeedbackService).record(
        experiment, entry.arm, feedback.name, feedback.value, feedback.call_id, feedback.comment
    )
    name = experiment.name if experiment is not None else ""
    return entry, experiment, Taken(status=recorded.status, previous=recorded.previous, experiment=name, evicted=False)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/feedback",
        action="feedback",
        summary="Tell what a call was worth: it moves an experiment's arms; a thumbs-down evicts a cached answer",
        run=give_feedback,
        body=Feedback,
        answer=Taken,
    ),
)
