"""What calls were worth, told over HTTP by whoever used the answer."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from pilothouse.access.doors import Asked, Operation
from pilothouse.access.roles import allows
from pilothouse.core.errors import Conflict, NotFound
from pilothouse.gateway.admin.changing import configuration
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.routing.feedback.service import FeedbackService
from pilothouse.gateway.routing.feedback.types import Recorded


class Feedback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a call was worth.

    Attributes:
        call_id: The call, as the header `x-pilothouse-call` named it.
        name: Of the score.
        value: True, false, or a number from 0 to 1.
    """

    call_id: str
    name: str
    value: bool | float


def give_feedback(asked: Asked) -> Recorded:
    """Keep what a call of an experiment was worth; a caller tells it of its own key's calls alone.

    Raises:
        NotFound: when there is no such call, or it is somebody else's.
        Conflict: when the call took part in no experiment that still runs.
        DataError: for a value that is not from 0 to 1.
    """
    feedback: Feedback = asked.body
    entry = asked.services.get(LedgerService).call(feedback.call_id).entry
    is_own = not asked.acting.key or allows(asked.role, "ledger.read") or entry.tenant.key == asked.acting.key
    if not is_own or (asked.organisation and entry.tenant.organisation != asked.organisation):
        raise NotFound(f"the ledger has no call '{feedback.call_id}'")
    active = configuration(asked.services)
    routes = active.settings.routes.values() if active else ()
    experiments = [route.experiment for route in routes if route.experiment is not None]
    experiment = next((item for item in experiments if item.name == entry.experiment), None)
    if experiment is None:
        raise Conflict("the call took part in no experiment that still runs", where=feedback.call_id)
    return asked.services.get(FeedbackService).record(
        experiment, entry.arm, feedback.name, feedback.value, feedback.call_id
    )


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/feedback",
        action="feedback",
        summary="Tell what a call was worth; it moves the arms of an experiment",
        run=give_feedback,
        body=Feedback,
        answer=Recorded,
    ),
)
