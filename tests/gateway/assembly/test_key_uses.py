"""A key that made a call bears the day of its last use once the gateway has ended; one that was refused does not."""

from __future__ import annotations

from typing import Any

from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft

BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}


def test_the_last_use_of_a_key_is_known(project: Any) -> None:
    project.configure(routes={"chat": {"deployments": [{"connection": "up", "model": "mock-tokens=1"}]}})
    keys = project.services.get(KeyService)
    used, idle, gone = (keys.create(KeyDraft(name=name)) for name in ("used", "idle", "gone"))
    keys.revoke("gone")
    (served,) = project.call(BODY, headers={"authorization": f"Bearer {used.secret.reveal()}"})
    (refused,) = project.call(BODY, headers={"authorization": f"Bearer {gone.secret.reveal()}"})
    assert (served.status, refused.status) == (200, 401)
    assert keys.show("used").last_used == project.services.clock.now().date()
    assert keys.show(idle.key.id).last_used is None
    assert keys.show("gone").last_used is None
