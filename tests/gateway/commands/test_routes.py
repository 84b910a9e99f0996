"""`gateway route`, `budget`, `ledger`, `stats` and `explain` over a project with two connections and some calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from pilothouse.access.audit.service import AuditService
from pilothouse.access.doors import Asked
from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import Acting, KeyDraft
from pilothouse.access.refusals import Changed
from pilothouse.access.types import Actor
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, Conflict, NotFound, UserError
from pilothouse.core.settings import Settings
from pilothouse.gateway.admin import feedback, ledger, routes
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.gateway.types import Attempt, LedgerEntry, Tenant
from pilothouse.models.types import Usage

Run = Callable[..., Result]

SECRET = "sk-nobody-may-see-this"
ROUTES = {
    "chat": {
        "deployments": [
            {"connection": "east", "model": "gpt-4o", "weight": 9},
            {"connection": "west", "model": "gpt-4o-mini"},
        ],
        "experiment": {"name": "wording", "arms": {"old": 1, "new": 1}},
        "aliases": ["default"],
    }
}


@pytest.fixture
def project(services: Any) -> Any:
    """Settings with a route, and two connections."""
    folder: Path = services.root / "connections"
    folder.mkdir()
    for name in ("east", "west"):
        (folder / f"{name}.yaml").write_text(f"name: {name}\ntype: open_ai\napi_key: ${{env:KEY_HERE}}\n")
    services.environment = Environment({"KEY_HERE": SECRET})
    section = msgspec.convert({"routes": ROUTES}, GatewaySettings)
    services.settings = Settings(services.root, services.environment, {"gateway": section})
    return services


def entry(number: int, now_ns: int, **given: Any) -> LedgerEntry:
    usage = Usage(input_tokens=100, output_tokens=10)
    fixed: dict[str, Any] = {
        "id": f"call{number}",
        "at_ns": now_ns - number * 1_000_000_000,
        "duration_ns": 100_000_000 * (number + 1),
        "overhead_ns": 400_000,
        "route": "chat",
        "deployment": "east/gpt-4o",
        "model": "gpt-4o",
        "provider": "openai",
        "status": "ok",
        "http_status": 200,
        "usage": usage,
        "usage_source": "provider",
        "cost": 350_000,
        "price": "test@2026-01-01",
        "tenant": Tenant(key="k1", organisation="acme", team="search"),
        "experiment": "wording",
        "arm": "old",
        "attempts": (Attempt(deployment="east/gpt-4o", begun_ns=1, duration_ns=2_000_000, status=200),),
    }
    return LedgerEntry(**{**fixed, **given})


@pytest.fixture
def calls(project: Any) -> Any:
    """Four calls: two of one organisation, one of another that failed, one of unknown cost."""
    now = int(project.clock.now().timestamp()) * 1_000_000_000
    writer = project.get(LedgerWriter)
    for item in (
        entry(0, now),
        entry(1, now),
        entry(2, now, tenant=Tenant(organisation="other"), status="failed", http_status=502, code="upstream_error"),
        entry(3, now, cost=None, price=None, route="other", experiment="", arm=""),
    ):
        writer.record(item)
    return project


def asked(services: Any, **given: Any) -> Asked:
    return Asked(**{"services": services, "acting": Acting(actor=Actor(name="bob")), "role": "admin", **given})


def test_routes_before_and_after_the_first_change(run: Run, project: Any) -> None:
    assert "no gateway was started yet" in run("route", "list").output
    assert "east/gpt-4o (9)" in " ".join(run("route", "list").output.split())
    changed = json.loads(run("route", "weights", "chat", "east/gpt-4o=5", "--note", "less", "--json").output)
    assert changed["version"]["number"] == 2
    assert json.loads(run("route", "show", "default", "--json").output)["route"]["deployments"][0]["weight"] == 5
    assert "weight: 9.0 > 5.0" in run("route", "diff").output
    assert "Version 1 is in force" in run("route", "rollback").output
    assert [item["active"] for item in json.loads(run("route", "history", "--json").output)] == [True, False]
    assert len(json.loads(run("route", "history", "--moves", "--json").output)) == 3
    run("route", "arms", "chat", "new=3")
    actions = [item.change.action for item in project.get(AuditService).list(target="config")]
    assert actions == ["route.arms", "config.rollback", "route.weights"]
    assert SECRET not in run("audit", "list", "--json").output


def test_a_file_is_applied_as_a_whole_or_not_at_all(run: Run, project: Any) -> None:
    good, bad = project.root / "good.yaml", project.root / "bad.yaml"
    good.write_text("gateway:\n  routes:\n    solo:\n      deployments: [{connection: west, model: gpt-4o-mini}]\n")
    bad.write_text("routes:\n  solo:\n    deployments: [{connection: nowhere}]\n")
    run("route", "apply", str(good))
    assert list(project.get(ConfigService).active().settings.routes) == ["solo"]
    with pytest.raises(ConfigError, match="nowhere"):
        run("route", "apply", str(bad))
    assert list(project.get(ConfigService).active().settings.routes) == ["solo"]


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("route", "show", "cht"), NotFound, "no route"),
        (("route", "weights", "cht", "a=1"), NotFound, "cht"),
        (("route", "weights", "chat", "nobody=1"), NotFound, "no deployment"),
        (("route", "weights", "chat", "east/gpt-4o=-1"), UserError, "no weight"),
        (("route", "weights", "chat", "east/gpt-4o=0", "west/gpt-4o-mini=0"), ConfigError, "weight"),
        (("route", "arms", "chat", "nobody=1"), NotFound, "no arm"),
        (("route", "rollback"), Conflict, "no other configuration"),
        (("budget", "set", "x"), ConfigError, "limit"),
        (("budget", "set", "x", "--dollars", "1", "--tokens", "1"), ConfigError, "limit"),
        (("budget", "set", "x", "--dollars", "1", "--match", "planet=earth"), ConfigError, "planet"),
        (("budget", "remove", "x"), NotFound, "no limit"),
        (("explain", "cht"), NotFound, "no model"),
        (("explain", "chat", "--key", "nobody"), NotFound, "no key"),
        (("ledger", "show", "nothing"), NotFound, "nothing"),
        (("ledger", "list", "--where", "planet=earth"), UserError, "planet"),
        (("ledger", "list", "--since", "soon"), UserError, "no moment"),
    ],
)
def test_mistakes(run: Run, project: Any, arguments: tuple[str, ...], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        run(*arguments)


def test_budgets_stand_where_the_ledger_says(run: Run, calls: Any) -> None:
    assert "Nothing is limited" in run("budget", "list").output
    run("budget", "set", "search", "--dollars", "0.001", "--match", "team=search")
    run("budget", "set", "orgs", "--dollars", "5", "--per", "day", "--each", "organisation", "--shadow")
    run("budget", "set", "pace", "--tokens", "1000")
    found = {(item["name"], item["value"]): item for item in json.loads(run("budget", "list", "--json").output)}
    assert found[("search", "")]["used"] == 700_000
    assert found[("search", "")]["forecast"]["note"].startswith("inconclusive")
    assert {key for key in found if key[0] == "orgs"} == {("orgs", "acme"), ("orgs", "other")}
    assert found[("orgs", "acme")]["enforced"] is False
    assert found[("pace", "")]["used"] is None
    assert "70%" in run("budget", "list").output
    run("budget", "set", "search", "--dollars", "0.002", "--match", "team=search")
    run("budget", "remove", "pace")
    assert {item["name"] for item in json.loads(run("budget", "list", "--json").output)} == {"search", "orgs"}


def test_what_calls_used_and_cost(run: Run, calls: Any, tmp_path: Path) -> None:
    (row,) = json.loads(run("ledger", "spend", "--by", "team", "--where", "route=chat", "--json").output)[:1]
    assert row["calls"] >= 1
    every = json.loads(run("ledger", "spend", "--json").output)
    assert (every[0]["calls"], every[0]["unknown"], every[0]["cost"]) == (4, 1, 1_050_000)
    page = json.loads(run("ledger", "list", "--limit", "3", "--json").output)
    assert ([call["entry"]["id"] for call in page["calls"]], page["after"] is None) == (
        ["call0", "call1", "call2"],
        False,
    )
    rest = json.loads(run("ledger", "list", "--after", page["after"], "--json").output)
    assert [call["entry"]["id"] for call in rest["calls"]] == ["call3"]
    assert "call3" in run("ledger", "list", "--unknown-cost").output
    shown = run("ledger", "show", "call0").output
    assert "$0.00035 by test@2026-01-01" in shown
    assert "attempt 1   east/gpt-4o: served" in shown
    run("ledger", "export", str(tmp_path / "calls.jsonl"))
    assert len((tmp_path / "calls.jsonl").read_text().splitlines()) == 4


def test_how_routes_fare(run: Run, calls: Any) -> None:
    found = {item["route"]: item for item in json.loads(run("stats", "--json").output)}
    assert (found["chat"]["calls"], found["chat"]["failures"], found["chat"]["sampled"]) == (3, 1, 2)
    assert (found["chat"]["p50_ns"], found["chat"]["p99_ns"]) == (100_000_000, 200_000_000)
    assert found["other"]["unknown"] == 1
    assert "chat" in run("stats").output
    calls.clock.advance(7200)
    assert "No call in the last 1h" in run("stats").output


def test_a_call_is_explained(run: Run, project: Any) -> None:
    project.get(KeyService).create(KeyDraft(name="ci", team="search", models=("gpt-*",)))
    project.get(KeyService).create(KeyDraft(name="eye", role="viewer"))
    run("budget", "set", "search", "--dollars", "1", "--match", "team=search")
    found = json.loads(run("explain", "chat", "--user", "bob", "--json").output)
    assert {choice["deployment"] for choice in found["routing"]["choices"]} == {"east/gpt-4o", "west/gpt-4o-mini"}
    assert all(cost > 0 for cost in found["cost"].values())
    assert (found["allowed"], found["limits"]) == (True, [])
    refused = json.loads(run("explain", "chat", "--key", "ci", "--json", code=1).output)
    assert refused["reason"] == "the key may not call 'chat'"
    assert [limit["name"] for limit in refused["limits"]] == ["search"]
    assert "may not ask for this" in run("explain", "chat", "--key", "eye", code=1).output
    assert SECRET not in run("explain", "chat").output


def test_a_confined_asker_sees_its_own_calls_alone(calls: Any) -> None:
    own = asked(calls, organisation="acme", query=ledger.CallsQuery(), path={"id": "call2"})
    assert {call.entry.tenant.organisation for call in ledger.list_calls(own).calls} == {"acme"}
    others = asked(calls, organisation="acme", query=ledger.CallsQuery(organisation="other"))
    assert {call.entry.tenant.organisation for call in ledger.list_calls(others).calls} == {"acme"}
    with pytest.raises(NotFound):
        ledger.show_call(own)
    question = ledger.SpendQuestion(match={"organisation": "other"})
    assert sum(row.calls for row in ledger.ask_spend(asked(calls, organisation="acme", body=question))) == 3
    stats = ledger.read_stats(asked(calls, organisation="other", query=ledger.StatsQuery()))
    assert [(item.route, item.calls) for item in stats] == [("chat", 1)]


def test_a_change_over_http_wants_the_version_that_was_seen(project: Any) -> None:
    project.get(ConfigService).start()
    shares = routes.Shares(weights={"east/gpt-4o": 1})
    first = routes.set_weights(asked(project, path={"name": "chat"}, body=shares, seen=1))
    assert first.version.number == 2
    with pytest.raises(Changed, match="another version"):
        routes.set_weights(asked(project, path={"name": "chat"}, body=shares, seen=1))
    assert project.get(AuditService).list()[0].change.actor.name == "bob"


def give(given: Asked) -> feedback.Taken:
    return asyncio.run(feedback.give_feedback(given))


def test_feedback_is_for_ones_own_calls(calls: Any) -> None:
    calls.get(ConfigService).start()
    body = feedback.Feedback(call_id="call0", name="helpful", value=True)
    holder = Acting(actor=Actor(name="k", kind="service"), key="k1")
    own = asked(calls, acting=holder, role="caller", organisation="acme", body=body)
    assert give(own).status == "new"
    assert (give(own).status, give(own).experiment) == ("same", "wording")
    stranger = Acting(actor=Actor(name="x", kind="service"), key="k2")
    with pytest.raises(NotFound):
        give(asked(calls, acting=stranger, role="caller", organisation="acme", body=body))
    with pytest.raises(NotFound):
        give(asked(calls, acting=holder, role="admin", organisation="other", body=body))
    without = give(asked(calls, body=msgspec.structs.replace(body, call_id="call3", value=False, name="thumbs")))
    assert (without.status, without.experiment, without.evicted) == ("new", "", False)
