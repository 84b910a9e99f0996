"""A thumbs-down, told through the API of the process that serves, makes its caches forget the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilothouse.access.doors import Asked
from pilothouse.access.keys.types import Acting
from pilothouse.access.types import Actor
from pilothouse.gateway.admin.feedback import Feedback, Taken, give_feedback
from pilothouse.gateway.routing.feedback.service import FeedbackService

BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
DEPLOYMENTS = [{"connection": "up", "model": "mock-tokens=1"}]
EXPERIMENT = {"name": "e", "arms": {"a": 1}, "bandit": {"metric": "good"}}
EXACT = {"cache": {"seconds": 600}}
SEMANTIC = {"semantic_cache": {"connection": "up", "model": "mock-dims=8"}}


def told(project: Any, call: str, name: str, value: bool | float, comment: str = "") -> Asked:
    body = Feedback(call_id=call, name=name, value=value, comment=comment)
    acting = Acting(actor=Actor(name="k", kind="service"))
    return Asked(services=project.services, acting=acting, role="admin", body=body)


@pytest.mark.parametrize(("settings", "kind"), [(EXACT, "exact"), (SEMANTIC, "semantic")])
def test_a_thumbs_down_evicts_what_served_the_call(project: Any, settings: dict[str, Any], kind: str) -> None:
    project.configure(routes={"chat": {"deployments": DEPLOYMENTS, **settings}})

    async def run() -> tuple[list[str], list[Taken]]:
        async with project.serving() as ask:
            first, second = await ask(BODY), await ask(BODY)
            praised = await give_feedback(told(project, second.call, "thumbs", True))
            other = await give_feedback(told(project, second.call, "length", 0.0))
            third = await ask(BODY)
            blamed = await give_feedback(told(project, second.call, "thumbs", False, "not so"))
            again = await give_feedback(told(project, first.call, "thumbs", 0.0))
            fourth = await ask(BODY)
            return [item.cache for item in (first, second, third, fourth)], [praised, other, blamed, again]

    caches, answers = asyncio.run(run())
    assert caches == ["miss", kind, kind, "miss"]
    assert [item.evicted for item in answers] == [False, False, True, False]
    assert [item.status for item in answers] == ["new", "new", "changed", "new"]
    blamed_call = project.rows()[1].entry.id
    assert ("thumbs", 0.0, "not so") in project.services.get(FeedbackService).comments(blamed_call)


def test_the_score_of_a_bandit_is_a_verdict_too(project: Any) -> None:
    project.configure(routes={"chat": {"deployments": DEPLOYMENTS, "experiment": EXPERIMENT, **EXACT}})

    async def run() -> Taken:
        async with project.serving() as ask:
            first = await ask(BODY)
            return await give_feedback(told(project, first.call, "good", False))

    taken = asyncio.run(run())
    assert (taken.evicted, taken.experiment) == (True, "e")
