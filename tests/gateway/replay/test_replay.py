"""A logged call is made again through the same data plane: both are shown, and nobody is charged twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pilothouse.access.audit.service import AuditService
from pilothouse.core.errors import Conflict, NotFound
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.replay.service import ReplayService
from pilothouse.gateway.replay.types import Replay, ReplayRequest

SHORT, LONG = "mock-tokens=3", "mock-tokens=6"


def route(model: str, **settings: Any) -> dict[str, Any]:
    return {"deployments": [{"connection": "up", "model": model, "name": model.partition("-")[2]}], **settings}


def asked(text: str = "hello", **body: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": text}], "max_tokens": 50, **body}


def replayed(project: Any, call: str, **wanted: Any) -> Replay:
    return asyncio.run(project.services.get(ReplayService).replay(ReplayRequest(call_id=call, **wanted)))


@pytest.mark.parametrize("stream", [False, True])
def test_another_version_of_the_configuration_answers_the_same_request(project: Any, stream: bool) -> None:
    project.configure(routes={"chat": route(SHORT)})
    (first,) = project.call(asked(stream=stream, user="u7", metadata={"tag": "t"}))
    after = project.services.get(ConfigService).edit("routes.chat.deployments.0.model", LONG)
    found = replayed(project, first.call, config=after.version.number)
    before, again = found.before, found.after
    assert (before.config, before.deployment, before.status) == ("1", "tokens=3", "ok")
    assert (again.config, again.status, again.http_status) == ("2", "ok", 200)
    assert (before.model, again.model) == (SHORT, LONG)
    assert before.usage is not None
    assert again.usage is not None
    assert (before.usage.output_tokens, again.usage.output_tokens) == (3, 6)
    assert before.cost is not None
    assert again.cost is not None
    assert again.cost > before.cost > 0
    assert again.duration_ns > 0
    assert before.text is not None
    assert again.text == before.text + " 3 4 5"
    assert found.same is False
    assert found.diff[-2:] == (f"-{before.text}", f"+{again.text}")
    old, new = (item.entry for item in project.rows())
    assert new.id == again.call
    assert (new.tenant.use_case, new.shadow, new.metadata) == ("replay", True, {"tag": "t", "replay_of": old.id})
    assert (new.end_user, new.stream, new.config) == ("u7", stream, "2")
    assert [json.loads(request.body)["model"] for request in project.upstream.requests] == [SHORT, LONG]


def test_the_version_that_decided_gives_the_same_answer_again(project: Any) -> None:
    project.configure(routes={"chat": route(SHORT)})
    (first,) = project.call(asked())
    project.services.get(ConfigService).edit("routes.chat.deployments.0.model", LONG)
    found = replayed(project, first.call, config=1)
    assert found.same is True
    assert found.diff == ()
    assert replayed(project, first.call).same is False, "by default the version in force decides"


def test_another_route_and_another_dialect(project: Any) -> None:
    project.configure(routes={"chat": route(SHORT), "other": route(LONG)})
    (first,) = project.call(asked(), path="/v1/messages")
    found = replayed(project, first.call, route="other")
    assert (found.before.route, found.after.route) == ("chat", "other")
    assert found.before.text is not None
    assert found.after.text == found.before.text + " 3 4 5"
    with pytest.raises(NotFound, match="no model 'othr'") as error:
        replayed(project, first.call, route="othr")
    assert "other" in error.value.message
    with pytest.raises(NotFound):
        replayed(project, first.call, config=9)
    with pytest.raises(NotFound, match="the ledger has no call"):
        replayed(project, "nothing")


def test_tool_calls_are_part_of_what_is_compared(project: Any) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    project.configure(routes={"chat": route("mock-calls=1"), "talk": route(SHORT)})
    for stream in (False, True):
        (first,) = project.call(asked(tools=tools, stream=stream))
        found = replayed(project, first.call, route="chat")
        assert found.same is True
        assert found.before.text is not None
        assert "look({" in found.before.text


def test_a_failed_repetition_is_shown_and_written_down(project: Any) -> None:
    project.configure(routes={"chat": route(SHORT), "broken": route("mock-fault=500", retries={"attempts": 1})})
    (first,) = project.call(asked())
    found = replayed(project, first.call, route="broken")
    assert (found.after.status, found.after.code, found.after.text) == ("failed", "upstream_error", None)
    assert found.same is None
    assert project.rows()[-1].entry.code == "upstream_error"


def test_no_limit_holds_and_no_budget_is_charged(project: Any) -> None:
    project.configure(
        routes={"chat": route(SHORT, cache={"seconds": 60})}, limits=[{"name": "one", "requests": 1, "per": "day"}]
    )
    first, second = project.call(asked(), asked("another"))
    assert (first.status, second.status) == (200, 429)
    assert replayed(project, first.call).after.cache == "", "no cache answers: the deployment is asked"
    spent = project.services.get(LedgerService).spent(0)
    assert [(row.requests, row.tenant.use_case) for row in spent] == [(1, "")]
    assert project.services.get(AuditService).list(target=f"call/{first.call}")[0].change.action == "call.replay"


def test_what_was_redacted_is_sent_only_when_that_is_wanted(project: Any) -> None:
    project.configure(routes={"chat": route("mock-echo=1")}, capture={"mode": "redacted"})
    (first,) = project.call(asked("write to ann@example.org"))
    with pytest.raises(Conflict, match="redacted") as error:
        replayed(project, first.call)
    assert "--redacted-ok" in str(error.value)
    assert len(project.rows()) == 1
    found = replayed(project, first.call, redacted_ok=True)
    assert found.same is True
    assert "ann@" not in (found.after.text or "ann@")
    assert any("redacted" in note for note in found.notes)


@pytest.mark.parametrize(
    ("capture", "words"),
    [
        ({"mode": "off"}, "capture.mode was off"),
        ({"mode": "full", "sample": 0.0}, "not in the sample"),
        ({"mode": "full", "most_bytes": 20}, "only the beginning of its request"),
    ],
)
def test_why_a_call_cannot_be_made_again(project: Any, capture: dict[str, Any], words: str) -> None:
    project.configure(routes={"chat": route(SHORT)}, capture=capture)
    (first,) = project.call(asked())
    with pytest.raises((NotFound, Conflict), match=words):
        replayed(project, first.call)
    assert len(project.rows()) == 1


def test_what_has_expired_and_what_was_a_replay_itself(project: Any) -> None:
    project.configure(routes={"chat": route(SHORT)})
    (first,) = project.call(asked())
    again = replayed(project, first.call).after.call
    with pytest.raises(NotFound, match="a copy, or a replay") as error:
        replayed(project, again)
    assert first.call in str(error.value)
    for path in (project.services.state / "capture" / "incoming").iterdir():
        path.unlink()
    with pytest.raises(NotFound, match="expired"):
        replayed(project, first.call)


def test_an_address_that_names_the_model_and_a_request_that_is_no_json(project: Any) -> None:
    project.configure(routes={"chat": route(SHORT), "sound": route(SHORT)})
    body = asked()
    del body["model"]
    (first,) = project.call(body, path="/openai/deployments/chat/chat/completions")
    assert first.status == 200, first.body
    assert replayed(project, first.call).same is True
    with pytest.raises(NotFound, match="no model"):
        replayed(project, first.call, route="nowhere")
    assert json.loads(first.body)["choices"]
