"""`gateway key` and `audit` as people and programs see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result

from pilothouse.access.keys.service import KeyService
from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import Conflict, NotFound, UserError
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.commands.options import dollars, moment, nanoseconds, pairs, seconds, shares, span

Run = Callable[..., Result]

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_secret_goes_to_standard_output_alone(run: Run, services: Any) -> None:
    made = run("key", "create", "ci", "--org", "acme", "--model", "gpt-*", "--operation", "chat", "--expires", "30d")
    secret = made.stdout.strip()
    assert secret.startswith("ph-")
    assert "not shown again" in made.stderr
    assert secret not in made.stderr
    key = services.get(KeyService).show("ci")
    assert services.get(KeyService).recognise(secret) == (key, True)
    assert (key.organisation, key.models, key.operations) == ("acme", ("gpt-*",), ("chat",))
    assert key.expires_at == datetime(2026, 2, 1, 3, 4, 5, tzinfo=UTC)
    others = [
        run("key", *verb).output for verb in (("list",), ("show", "ci"), ("list", "--json"), ("show", "ci", "--json"))
    ]
    others += [run("audit", "list").output, run("audit", "list", "--json").output, run("key", "revoke", "ci").output]
    assert not any(secret[10:] in text for text in others)


def test_keys_for_programs(run: Run, clock: FixedClock) -> None:
    made = json.loads(run("key", "create", "ci", "--json").stdout)
    assert made["secret"].startswith(made["key"]["prefix"])
    rotated = json.loads(run("key", "rotate", "ci", "--grace", "0s", "--json").stdout)
    assert rotated["key"]["id"] == made["key"]["id"]
    assert json.loads(run("key", "update", "ci", "--role", "viewer", "--json").stdout)["role"] == "viewer"
    assert [key["state"] for key in json.loads(run("key", "list", "--json").stdout)] == ["active"]
    run("key", "revoke", "ci")
    assert json.loads(run("key", "list", "--json").stdout) == []
    assert [key["state"] for key in json.loads(run("key", "list", "--all", "--json").stdout)] == ["revoked"]


def test_lists_say_what_they_leave_out(run: Run) -> None:
    assert "There are no keys" in run("key", "list").output
    run("key", "create", "ci")
    run("key", "revoke", "ci")
    assert "1 revoked or expired" in run("key", "list").output


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_fits(run: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    name = "a-rather-long-name-for-a-key-of-the-nightly-build"
    run(
        "key",
        "create",
        name,
        "--org",
        "a-long-organisation",
        "--team",
        "a-long-team",
        "--model",
        "claude-*",
        "--model",
        "gpt-*",
    )
    assert max(len(line) for line in run("key", "list").output.splitlines()) <= columns


def test_an_update_clears_what_it_is_told_to(run: Run, services: Any) -> None:
    run("key", "create", "ci", "--model", "x", "--operation", "chat", "--expires", "1d", "--team", "a")
    run("key", "update", "ci", "--all-models", "--all-operations", "--never-expires", "--name", "cd")
    key = services.get(KeyService).show("cd")
    assert (key.models, key.operations, key.expires_at, key.team) == ((), (), None, "a")


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("key", "show", "unknown"), NotFound, "no key"),
        (("key", "revoke", "unknown"), NotFound, "no key"),
        (("key", "create", "ci"), Conflict, "exists already"),
        (("key", "create", "a\x1bb"), UserError, "no name"),
        (("key", "create", "x", "--expires", "yesterday"), UserError, "no moment"),
        (("key", "create", "x", "--expires", "2020-01-01"), UserError, "already"),
        (("key", "rotate", "ci", "--grace", "-1s"), UserError, "length of time"),
        (("key", "update", "ci"), UserError, "nothing is to be changed"),
        (("key", "update", "ci", "--model", "x", "--all-models"), UserError, "at once"),
        (("audit", "verify", "--against", "5"), UserError, "no row and hash"),
    ],
)
def test_mistakes(run: Run, arguments: tuple[str, ...], kind: type[Exception], words: str) -> None:
    run("key", "create", "ci")
    with pytest.raises(kind, match=words):
        run(*arguments)


@pytest.mark.parametrize("option", [("--role", "root"), ("--operation", "fly")])
def test_mistakes_in_choices(run: Run, option: tuple[str, str]) -> None:
    run("key", "create", "x", *option, code=2)


def test_the_audit_log(run: Run, services: Any) -> None:
    assert "Nothing was changed yet" in run("audit", "list").output
    run("key", "create", "ci")
    run("key", "update", "ci", "--team", "search")
    output = run("audit", "list", "key/ci").output
    assert "key.update" in output
    assert 'team: "" > search' in " ".join(output.split())
    assert json.loads(run("audit", "list", "--limit", "1", "--json").output)[0]["number"] == 2
    sound = run("audit", "verify").output.splitlines()
    assert sound[0] == "All 2 rows are sound."
    assert "sound" in run("audit", "verify", "--against", sound[1]).output
    with services.get(Database).begin() as connection:
        connection.exec_driver_sql("DELETE FROM access_audit WHERE number = 2")
    assert run("audit", "verify").exit_code == 0
    assert "Row 2 is broken" in run("audit", "verify", "--against", sound[1], code=1).output
    assert json.loads(run("audit", "verify", "--against", sound[1], "--json", code=1).output)["broken"] == 2


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (1_500_000_000, "$1.50"),
        (1_234_567_890_000_000_000, "$1,234,567,890.00"),
        (-250_000_000, "-$0.25"),
        (None, "?"),
    ],
)
def test_money_is_shown_exactly(nano: int | None, text: str) -> None:
    assert dollars(nano) == text


def test_times_as_they_are_typed() -> None:
    assert span("90m", "x").total_seconds() == 5400
    assert moment("1d", "x", NOW, ahead=False) == datetime(2026, 1, 1, 3, 4, 5, tzinfo=UTC)
    assert moment("2027-01-31", "x", NOW, ahead=True) == datetime(2027, 1, 31, tzinfo=UTC)
    assert moment("2027-01-31T12:00+02:00", "x", NOW, ahead=True) == datetime(2027, 1, 31, 10, tzinfo=UTC)
    for wrong in ("", "2027-01-31T12:00", "soon", "1y", "99999999d", "2027-02-31"):
        with pytest.raises(UserError):
            moment(wrong, "x", NOW, ahead=True)
    assert nanoseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 10**9
    assert [seconds(value) for value in (500_000, 250_000_000, 12_000_000_000)] == ["500 us", "250 ms", "12.0 s"]


def test_pairs_and_shares() -> None:
    assert pairs(("a=b=1", "c="), "x") == {"a=b": "1", "c": ""}
    assert shares(("azure/gpt-4o=0.25", "b=0"), "x") == {"azure/gpt-4o": 0.25, "b": 0.0}
    for wrong in (("a",), ("=1",), ("a=1", "a=2")):
        with pytest.raises(UserError):
            pairs(wrong, "x")
    for wrong in (("a=-1",), ("a=x",), ("a=nan",), ("a=inf",)):
        with pytest.raises(UserError):
            shares(wrong, "x")
