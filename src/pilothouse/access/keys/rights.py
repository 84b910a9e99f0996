"""Whether who acts may change a key: looked at inside the transaction that changes it."""

from __future__ import annotations

from datetime import datetime

from pilothouse.access.keys.types import Acting, Key
from pilothouse.access.refusals import Forbidden
from pilothouse.access.roles import allows


def refuse_without_rights(acting: Acting, shown: Key | None, now: datetime, before: Key | None, after: Key) -> None:
    """Refuse a change of a key by somebody who may not, or may not any more.

    Args:
        acting: Who wants it.
        shown: The key it showed, as it is now; None where there is none.
        now: When.
        before: The key as it is; None for a new one.
        after: As it is to become.

    Raises:
        Forbidden: when the key shown is gone, revoked or expired, its role does not suffice, or the key it wants to
            change belongs, or would belong, to somebody else.
    """
    if not acting.key:
        return
    if shown is None or shown.state(now) != "active":
        raise Forbidden("the key that was shown opens nothing any more", where="keys.write")
    if not allows(shown.role, "keys.write", organisation=shown.organisation):
        raise Forbidden(f"the role '{shown.role}' may not change keys", where="keys.write", expected="the role 'admin'")
    owners = {key.organisation for key in (before, after) if key is not None}
    if shown.organisation and owners != {shown.organisation}:
        raise Forbidden(
            f"a key of '{shown.organisation}' changes only keys of '{shown.organisation}'",
            where="keys.write",
            fix="give the key this organisation, or use a key of the whole gateway",
        )
