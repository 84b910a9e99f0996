"""Who is let in at the API's door, and to what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pilothouse.access.doors import Operation
from pilothouse.access.keys.service import KeyService
from pilothouse.access.roles import ROLES, allows
from pilothouse.core.clock import FixedClock
from pilothouse.core.settings import Settings
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.admin.operations import OPERATIONS
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.server.api import build

from .conftest import Client

Make = Callable[..., str]

PATHS = {"ref": "nobody", "name": "nothing", "id": "none", "call_id": "none"}


def filled(operation: Operation) -> str:
    return "/api/v1" + operation.path.format(**PATHS)


@pytest.mark.parametrize("organisation", ["", "acme"])
@pytest.mark.parametrize("role", ROLES)
def test_every_role_at_every_operation(api: Client, make: Make, role: str, organisation: str) -> None:
    token = make("k", role=role, organisation=organisation)
    for operation in OPERATIONS:
        answer = api(operation.method, filled(operation), b"\xff" if operation.body else None, token=token)
        if allows(role, operation.action, organisation=organisation):
            assert answer.status in {200, 400, 404, 409}, (operation.path, answer.raw)
        else:
            assert (answer.status, answer.code) == (403, "forbidden"), operation.path


def test_nobody_at_every_operation(api: Client, make: Make) -> None:
    make("k")
    for operation in OPERATIONS:
        answer = api(operation.method, filled(operation))
        assert (answer.status, answer.code) == (401, "missing_api_key"), operation.path
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Bearer ph-unknown", "invalid_api_key"),
        ("Bearer " + "x" * 60000, "invalid_api_key"),
        ("Bearer \xff\xfe", "invalid_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer   ", "missing_api_key"),
        ("Basic dXNlcjpwYXNz", "missing_api_key"),
        ("ph-bare", "missing_api_key"),
    ],
)
def test_what_is_no_key(api: Client, make: Make, header: str, code: str) -> None:
    make("k", role="admin")
    answer = api("GET", "/api/v1/keys", headers={"authorization": header})
    assert (answer.status, answer.code) == (401, code)


def test_a_revoked_and_an_expired_key_are_told_apart(
    api: Client, make: Make, keys: KeyService, clock: FixedClock
) -> None:
    revoked = make("a", role="admin")
    expired = make("b", role="admin", expires_at=clock.now() + timedelta(seconds=5))
    assert api("GET", "/api/v1/keys", token=revoked).status == 200
    keys.revoke("a")
    assert api("GET", "/api/v1/keys", token=revoked).code == "key_revoked"
    clock.advance(5)
    assert api("GET", "/api/v1/keys", token=expired).code == "key_expired"


def test_a_role_that_was_taken_away_is_gone_at_once(api: Client, make: Make, keys: KeyService) -> None:
    token = make("boss", role="admin")
    make("victim")
    keys.update("boss", {"role": "viewer"})
    assert api("POST", "/api/v1/keys/victim/revoke", token=token).status == 403
    assert keys.show("victim").revoked_at is None


def test_without_keys_it_is_open_to_this_machine_until_the_first_one(api: Client, keys: KeyService) -> None:
    assert api("GET", "/api/v1/keys").body == {"items": [], "next": None}
    made = api("POST", "/api/v1/keys", {"name": "first", "role": "admin"})
    assert made.status == 201
    assert api("GET", "/api/v1/keys").code == "missing_api_key"
    assert api("GET", "/api/v1/keys", token=made.body["secret"]).status == 200
    keys.revoke("first")
    assert api("GET", "/api/v1/keys").code == "missing_api_key"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "https://evil.example"}, "foreign_origin"),
        ({"origin": "null"}, "foreign_origin"),
        ({"origin": "http://127.0.0.1:9999"}, "foreign_origin"),
        ({"sec-fetch-site": "cross-site"}, "foreign_origin"),
        ({"sec-fetch-site": "same-site"}, "foreign_origin"),
        ({"host": "evil.example"}, "foreign_host"),
        ({"host": "127.0.0.1.evil.example:4000"}, "foreign_host"),
    ],
)
def test_pages_of_other_sites_are_refused(api: Client, keys: KeyService, headers: dict[str, str], code: str) -> None:
    answer = api("POST", "/api/v1/keys", {"name": "x", "role": "admin"}, headers=headers)
    assert (answer.status, answer.code) == (403, code)
    assert keys.list() == []


def test_its_own_pages_are_not(api: Client) -> None:
    own = {"origin": "http://127.0.0.1:4000", "sec-fetch-site": "same-origin"}
    assert api("GET", "/api/v1/keys", headers=own).status == 200


def test_other_machines_are_refused_while_it_is_open(api: Client) -> None:
    for address in (("10.0.0.7", 1234), None):
        api.address = address  # type: ignore[assignment]
        assert api("GET", "/api/v1/keys").code == "not_local"


@pytest.mark.parametrize(
    ("access", "host", "status"),
    [
        ("auto", "0.0.0.0", 401),
        ("keys", "127.0.0.1", 401),
        ("open", "127.0.0.1", 200),
        ("open", "0.0.0.0", 403),
    ],
)
def test_where_it_is_open(services: Any, access: str, host: str, status: int) -> None:
    services.settings = Settings(services.root, services.environment, {"gateway": GatewaySettings(access=access)})
    assert Client(build(services, host))("GET", "/api/v1/keys").status == status


def test_keys_that_cannot_be_read_let_nobody_in(api: Client, make: Make, services: Any) -> None:
    token = make("boss", role="admin")
    database = services.get(Database)
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE access_secrets")
    answer = api("GET", "/api/v1/keys", token=token)
    assert answer.status in {500, 503}
    assert token not in answer.raw.decode()


def test_no_answer_and_no_log_shows_a_secret(
    api: Client, make: Make, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    token = make("boss", role="admin")
    rotated = api("POST", "/api/v1/keys/boss/rotate", {}, token=token).body["secret"]
    seen = []
    for operation in OPERATIONS:
        if operation.method == "GET":
            seen.append(api("GET", "/api/v1" + operation.path.format(**{**PATHS, "ref": "boss"}), token=rotated).raw)
    told = b"".join(seen).decode() + caplog.text + "".join(capsys.readouterr())
    for secret in (token, rotated):
        assert secret[10:] not in told
