"""The API on the wire: forms, errors, pages, revisions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.access.doors import Asked, Operation
from pilothouse.gateway.admin.operations import OPERATIONS
from pilothouse.server.api import MOST_BYTES, build
from pilothouse.server.openapi import describe

from .conftest import Client

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"

Make = Callable[..., str]


@pytest.fixture
def boss(make: Make) -> str:
    return make("boss", role="admin")


def test_a_keys_life(api: Client, boss: str) -> None:
    made = api("POST", "/api/v1/keys", {"name": "ci", "models": ["gpt-*"], "operations": ["chat"]}, token=boss)
    assert made.status == 201
    assert made.body["key"]["created_by"] == "boss"
    assert made.headers["cache-control"] == "no-store"
    key_id = made.body["key"]["id"]
    shown = api("GET", "/api/v1/keys/ci", token=boss)
    assert shown.body == made.body["key"] == api("GET", f"/api/v1/keys/{key_id}", token=boss).body
    changed = api("PATCH", "/api/v1/keys/ci", {"team": "search", "expires_at": None}, token=boss)
    assert (changed.body["team"], changed.body["models"]) == ("search", ["gpt-*"])
    rotated = api("POST", "/api/v1/keys/ci/rotate", {"grace_seconds": 0}, token=boss)
    assert rotated.body["key"]["id"] == key_id
    assert rotated.body["secret"] != made.body["secret"]
    assert api("POST", "/api/v1/keys/ci/revoke", token=boss).body["revoked_at"] is not None
    rows = api("GET", "/api/v1/audit?target=key/ci", token=boss).body["items"]
    assert [row["change"]["action"] for row in rows] == ["key.revoke", "key.rotate", "key.update", "key.create"]
    assert {row["change"]["actor"]["name"] for row in rows} == {"boss"}
    assert api("GET", "/api/v1/audit/verify", token=boss).body["broken"] is None


def test_a_change_wants_the_revision_that_was_seen(api: Client, boss: str) -> None:
    seen = api("POST", "/api/v1/keys", {"name": "ci"}, token=boss).headers["etag"]
    first = api("PATCH", "/api/v1/keys/ci", {"team": "a"}, token=boss, headers={"if-match": seen})
    assert first.status == 200
    assert first.headers["etag"] != seen
    for path, body in (("", {"team": "b"}), ("/rotate", {}), ("/revoke", None)):
        method = "POST" if path else "PATCH"
        answer = api(method, f"/api/v1/keys/ci{path}", body, token=boss, headers={"if-match": seen})
        assert (answer.status, answer.code) == (412, "changed")
    assert api("PATCH", "/api/v1/keys/ci", {}, token=boss, headers={"if-match": "abc"}).status == 400


def test_pages(api: Client, boss: str, make: Make) -> None:
    for name in ("a", "b", "c"):
        make(name)
    first = api("GET", "/api/v1/keys?limit=3", token=boss).body
    assert ([key["name"] for key in first["items"]], first["next"]) == (["a", "b", "boss"], "boss")
    rest = api("GET", "/api/v1/keys?limit=3&after=boss", token=boss).body
    assert ([key["name"] for key in rest["items"]], rest["next"]) == (["c"], None)
    rows = api("GET", "/api/v1/audit?limit=3", token=boss).body
    assert (len(rows["items"]), rows["next"]) == (3, "2")
    assert api("GET", "/api/v1/audit?limit=3&after=2", token=boss).body["next"] is None


def test_one_organisation_sees_and_makes_its_own_alone(api: Client, make: Make) -> None:
    make("theirs", organisation="other")
    make("everybodys")
    token = make("boss", organisation="acme", role="admin")
    assert api("POST", "/api/v1/keys", {"name": "ours"}, token=token).body["key"]["organisation"] == "acme"
    assert [key["name"] for key in api("GET", "/api/v1/keys", token=token).body["items"]] == ["boss", "ours"]
    assert len(api("GET", "/api/v1/keys?organisation=other", token=token).body["items"]) == 2
    for name in ("theirs", "everybodys", "unknown"):
        answers = [
            api("GET", f"/api/v1/keys/{name}", token=token),
            api("POST", f"/api/v1/keys/{name}/revoke", token=token),
            api("PATCH", f"/api/v1/keys/{name}", {"role": "admin"}, token=token),
        ]
        assert [(answer.status, answer.body["error"]["message"]) for answer in answers] == [
            (404, f"there is no key '{name}'")
        ] * 3
    for body in ({"name": "x", "organisation": "other"}, {"name": "boss"}):
        assert api("POST", "/api/v1/keys", body, token=token).status in {403, 409}
    assert api("PATCH", "/api/v1/keys/ours", {"organisation": ""}, token=token).status == 403


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        (b"{", {}, 400, "truncated"),
        (b"[]", {}, 400, "object"),
        (b"\xff\xfe", {}, 400, "malformed"),
        (b"", {}, 400, "name"),
        (b'{"name": 1}', {}, 400, "$.name"),
        (b'{"name": "x", "nmae": 1}', {}, 400, "nmae"),
        (b'{"name": "x", "role": "root"}', {}, 400, "$.role"),
        (b'{"name": "x", "operations": ["fly"]}', {}, 400, "$.operations"),
        (b'{"name": "x", "expires_at": "tomorrow"}', {}, 400, "$.expires_at"),
        (b'{"name": "x", "expires_at": "2020-01-01T00:00:00Z"}', {}, 400, "expired already"),
        (b'{"name": "x", "expires_at": "2030-01-01T00:00:00"}', {}, 400, "no zone"),
        (b'{"name": "a/b"}', {}, 400, "no name"),
        (b'{"name": "\\ud800"}', {}, 400, ""),
        (b'{"name": "boss"}', {}, 409, "exists already"),
        (b'{"name": "x"}', {"content-type": "text/plain"}, 415, "text/plain"),
        (b'{"name": "x"}', {"content-type": "application/x-www-form-urlencoded"}, 415, "form"),
        (b" " * (MOST_BYTES + 1), {}, 413, "longer"),
        (b"[" * 100_000, {}, 400, ""),
    ],
)
def test_bad_bodies(api: Client, boss: str, body: bytes, headers: dict[str, str], status: int, words: str) -> None:
    answer = api("POST", "/api/v1/keys", body, token=boss, headers=headers)
    if not body:
        answer = api("POST", "/api/v1/keys", None, token=boss)
    assert answer.status == status, answer.raw
    assert words in str(answer.body["error"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "unknown_endpoint"),
        ("GET", "/api", 404, "unknown_endpoint"),
        ("DELETE", "/api/v1/keys", 405, "method_not_allowed"),
        ("GET", "/api/v1/keys?limit=0", 400, "invalid_request"),
        ("GET", "/api/v1/keys?limit=x", 400, "invalid_request"),
        ("GET", "/api/v1/keys?lmit=1", 400, "invalid_request"),
        ("GET", "/api/v1/keys/boss?x=1", 400, "invalid_request"),
        ("GET", "/api/v1/keys/unknown", 404, "not_found"),
        ("GET", "/api/v1/audit/verify?number=1", 400, "invalid_request"),
    ],
)
def test_bad_questions(api: Client, boss: str, method: str, path: str, status: int, code: str) -> None:
    answer = api(method, path, token=boss)
    assert (answer.status, answer.code) == (status, code)


def test_a_defect_says_nothing_about_the_inside(services: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_asked: Asked) -> int:
        raise ZeroDivisionError("the password is swordfish")

    operation = Operation(method="GET", path="/broken", action="stats.read", summary="x", run=broken, answer=int)
    client = Client(build(services, "127.0.0.1", (operation,)))
    answer = client("GET", "/api/v1/broken")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"swordfish" not in answer.raw
    assert "swordfish" in caplog.text


def test_an_async_operation_is_awaited(services: Any) -> None:
    async def later(asked: Asked) -> str:
        return asked.acting.actor.name

    operation = Operation(method="GET", path="/later", action="stats.read", summary="x", run=later, answer=str)
    assert Client(build(services, "127.0.0.1", (operation,)))("GET", "/api/v1/later").body == "tester"


def test_the_committed_document_is_what_the_operations_say() -> None:
    made = json.loads(msgspec.json.encode(describe(OPERATIONS)))
    made["info"].pop("version")
    kept = json.loads(DOCUMENT.read_bytes())
    kept["info"].pop("version")
    assert kept == made, "write it anew: python -m tests.server.openapi_document"


def test_the_document_is_sound(api: Client, boss: str) -> None:
    document = api("GET", "/api/v1/openapi.json").body
    names = set(document["components"]["schemas"])
    wanted = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert wanted <= names
    told = [verb for path in document["paths"].values() for verb in path.values()]
    assert len({verb["operationId"] for verb in told}) == len(told) == len(OPERATIONS)


LAZY = """
import asyncio, sys, tempfile, pathlib
from pilothouse.server.app import Front
from pilothouse.workspace import Workspace
seen = []
async def gateway(scope, receive, send): seen.append(scope["path"])
async def nothing(*_): return {"type": "http.request", "body": b"", "more_body": False}
async def main(services):
    front = Front(gateway, services, "127.0.0.1")
    head = {"type": "http", "method": "GET", "headers": [], "query_string": b"", "client": ("127.0.0.1", 1), "root_path": ""}
    for path in ("/v1/models", "/metrics", "/apix", "/healthz"):
        await front({**head, "path": path}, nothing, nothing)
    before = "starlette" in sys.modules
    await asyncio.gather(*(front({**head, "path": "/api/v1/openapi.json"}, nothing, nothing) for _ in range(3)))
    print(seen, before, "starlette" in sys.modules)
with tempfile.TemporaryDirectory() as root, Workspace(pathlib.Path(root)) as services:
    asyncio.run(main(services))
"""


def test_the_api_is_loaded_when_somebody_asks() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['/v1/models', '/metrics', '/apix', '/healthz'] False True"
