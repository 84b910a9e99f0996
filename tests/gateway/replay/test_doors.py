"""`gateway replay` in the terminal, and `POST /api/v1/gateway/replay`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from pilothouse.access.audit.service import AuditService
from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import KeyDraft
from pilothouse.core.errors import NotFound
from pilothouse.gateway.commands.commands import gateway
from pilothouse.server.api import build

ROUTES = {
    name: {"deployments": [{"connection": "up", "model": model}]}
    for name, model in {"chat": "mock-tokens=3", "long": "mock-tokens=6", "broken": "mock-fault=contextlength"}.items()
}
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def logged(project: Any) -> str:
    """The id of a call that was made and recorded."""
    project.configure(routes=ROUTES)
    (first,) = project.call(BODY)
    return first.call


def run(project: Any, *arguments: str) -> Result:
    return CliRunner().invoke(gateway, ["replay", *arguments], obj=project.services, catch_exceptions=False)


def test_the_terminal_shows_both_calls(project: Any, logged: str) -> None:
    found = run(project, logged, "--route", "long")
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    columns = {line.split()[0]: line.split() for line in lines if line and line[0].isalpha()}
    assert columns["call"][1] == logged
    assert columns["route"][1:] == ["chat", "long"]
    assert columns["asked"][1:] == ["up/mock-tokens=3:", "200", "up/mock-tokens=6:", "200"]
    assert columns["status"][1:] == ["200", "ok", "200", "ok"]
    assert columns["cost"][1].startswith("$0.0000")
    assert "the answers differ:" in lines
    assert lines[-1].startswith("+")
    assert lines[-1].endswith("1 2 3 4 5")
    assert run(project, logged).output.splitlines()[-1] == "the answers are the same"


def test_programs_get_json_and_a_failed_call_another_exit_code(project: Any, logged: str) -> None:
    found = run(project, logged, "--route", "broken", "--json")
    assert found.exit_code == 1
    told = json.loads(found.output)
    assert (told["before"]["status"], told["after"]["status"]) == ("ok", "failed")
    assert (told["after"]["code"], told["after"]["http_status"]) == ("upstream_rejected", 400)
    with pytest.raises(NotFound):
        run(project, "nothing")


def test_only_some_roles_may_do_it_over_http(project: Any, logged: str) -> None:
    keys = project.services.get(KeyService)
    tokens = {
        role: keys.create(KeyDraft(name=role, role=role)).secret.reveal() for role in ("caller", "viewer", "operator")
    }
    confined = keys.create(KeyDraft(name="theirs", role="operator", organisation="acme")).secret.reveal()
    with TestClient(build(project.services, "127.0.0.1"), base_url="http://127.0.0.1") as api:

        def ask(token: str, **body: Any) -> Any:
            headers = {"authorization": f"Bearer {token}"}
            return api.post("/api/v1/gateway/replay", json={"call_id": logged, **body}, headers=headers)

        for token in (tokens["caller"], tokens["viewer"], confined):
            assert ask(token).status_code == 403
        assert len(project.rows()) == 1
        answer = ask(tokens["operator"], route="long")
        assert answer.status_code == 200, answer.text
        assert answer.json()["same"] is False
        assert ask(tokens["operator"], config=77).status_code == 404
        assert ask(tokens["operator"], colour="red").status_code == 400
    assert project.services.get(AuditService).list(target=f"call/{logged}")[0].change.actor.name == "operator"
