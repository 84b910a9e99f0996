"""What somebody would try who wants more than their key gives: other addresses, other tenants, other people's names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pilothouse.gateway.cache.types import CachePolicy
from pilothouse.gateway.providers.forms import is_plain
from pilothouse.gateway.settings import DeploymentSettings, GatewaySettings, RouteSettings

from ..running import UPSTREAM_SECRET
from ..threaded import Bench, bench, in_thread
from .conftest import CALLER, NARROW, Door
from .wire import ask, request

BODY: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/fine_tuning/%2e%2e/chat/completions",
        "/v1/fine_tuning/%252e%252e/chat/completions",
        "/v1/fine_tuning/.%0a./chat/completions",
        "/v1/fine_tuning/.%09./chat/completions",
        "/v1/fine_tuning/%5c..%5cchat/completions",
        "/v1/fine_tuning/x%3f/../../y",
        "/v1/fine_tuning//evil.example/x",
        "/v1/fine_tuning/%40evil.example/x",
        "/v1/fine_tuning/x%23y",
        "/v1/files/%2e%2e",
        "/v1/files/%252e%252e",
        "/v1/responses/..%2f..%2fx",
        "/v1/batches/%00",
        "/v1/fine_tuning/%0d%0ahost:%20evil",
    ],
)
def test_a_path_does_not_climb_out(door: Door, path: str) -> None:
    """No pass-through leads to another operation, another host or another folder of the upstream."""
    bill = door.served.mock.bill
    before = bill.count("requests")
    for method in ("GET", "POST"):
        reply = ask(door.port, request(method, path, key=CALLER, headers=[("x-pilothouse-route", "chat")]))
        assert reply.status in {404, 405}, reply
        assert reply.code in {"unknown_endpoint", "method_not_allowed"}
    assert bill.count("requests") == before
    door.left_nothing(reply.body)


@pytest.mark.parametrize(
    "path",
    ["files/..", "files/%2e%2e", "a//b", "a\\b", "a#b", "a@b", "a?b?c", "a\nb", "a b", "\u00e9", "..", "./a", "a/."],
)
def test_what_is_no_plain_path(path: str) -> None:
    assert not is_plain(path)


@pytest.mark.parametrize("route", ["claude", "http://169.254.169.254/", "../../x", "slow\t", "*"])
def test_the_header_that_names_a_route_gives_no_rights(door: Door, route: str) -> None:
    sent = request("GET", "/v1/files", key=NARROW, headers=[("x-pilothouse-route", route)])
    reply = ask(door.port, sent)
    assert reply.code in {"model_not_allowed", "model_not_found"}
    door.left_nothing(reply.body)


def test_the_header_that_names_a_route_does_not_overrule_a_body(door: Door) -> None:
    door.refused(
        request(body={**BODY, "model": "claude"}, key=NARROW, headers=[("x-pilothouse-route", "chat")]),
        403,
        "model_not_allowed",
    )


def test_nothing_of_the_clients_head_reaches_the_upstream(door: Door) -> None:
    """Neither the caller's key nor what would speak for somebody else there."""
    odd = {
        "x-api-key": "other",
        "api-key": "other",
        "cookie": "a=b",
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-host": "evil.example",
        "openai-organization": "org-other",
        "openai-project": "proj-other",
        "x-mock": "fault=500",
        "proxy-authorization": "Basic eDp5",
        "te": "trailers",
    }
    assert ask(door.port, request(body=BODY, key=CALLER, headers=odd.items())).status == 200
    sent = door.served.mock.requests[-1].headers
    assert sent[b"authorization"] == f"Bearer {UPSTREAM_SECRET}".encode()
    assert not {name.decode() for name in sent} & set(odd)
    assert CALLER.encode() not in b"".join(sent.values())


def test_of_two_keys_the_last_counts_and_is_checked(door: Door) -> None:
    door.refused(
        request(body=BODY, headers=[("Authorization", f"Bearer {CALLER}"), ("Authorization", "Bearer nobody")]),
        401,
        "invalid_api_key",
    )


def test_names_of_strangers_make_no_series(door: Door) -> None:
    """Whatever clients send, the number of metrics stays: neither models, paths, keys nor users are labels."""
    metrics = door.served.gateway.metrics
    door.sane()
    kinds = [
        lambda name: request(body={**BODY, "model": name}, key=CALLER),
        lambda name: request("GET", f"/v1/{name}", key=CALLER),
        lambda name: request(body=BODY, key=name),
        lambda name: request(body={**BODY, "user": name, "metadata": {name: name}}, key=CALLER),
        lambda name: request(body={**BODY, name: 1, "stream": name}, key=CALLER),
        lambda name: request(method=name.upper()[:3] and "PATCH", path="/v1/chat/completions", key=CALLER),
    ]
    for make in kinds:
        ask(door.port, make("first"))
    door.served.settle()
    before = metrics.exposition().count(b"\n")
    for make in kinds:
        for place in range(20):
            ask(door.port, make(f"stranger{place}"))
    door.served.settle()
    assert metrics.exposition().count(b"\n") == before
    assert b"stranger" not in metrics.exposition()


@pytest.mark.parametrize("name", ["a\r\nb: c", "\x1b[31mred", "a\u2028b", "{}%s%(x)s"])
def test_what_clients_say_makes_no_line_of_the_log(
    door: Door, name: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for body in ({**BODY, "model": name}, {**BODY, "user": name}, {**BODY, name: name}, {**BODY, "n": name}):
        ask(door.port, request(body=body, key=CALLER))
    door.served.settle()
    said = "".join(capsys.readouterr()) + caplog.text
    assert name not in said
    assert "b: c" not in said


def test_no_cache_is_for_everybody() -> None:
    """A client's word on caching is about its own answers: none of it names a partition."""
    policy = CachePolicy.of({"cache-control": "no-store", "x-tenant": "other", "x-organisation": "other"})
    assert not policy.store


HOSTILE = "a\r\nset-cookie: evil=1"


@pytest.fixture(scope="module")
def opened() -> Iterator[Bench]:
    """A gateway without keys, whose deployment has a name that would split an answer."""
    route = RouteSettings(deployments=(DeploymentSettings(connection="openai", model="mock-tokens=3", name=HOSTILE),))
    with in_thread(
        lambda: bench(GatewaySettings(access="open", routes={"chat": route}), {"openai": "open_ai"})
    ) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
def test_a_deployments_name_splits_no_answer(opened: Bench, stream: bool) -> None:
    reply = ask(opened.port, request(body={**BODY, "stream": stream}))
    assert reply.status == 200
    assert "set-cookie" not in reply.headers
    assert "evil=1" in reply.headers["x-pilothouse-deployment"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:80"},
        {"Host": "localhost", "Origin": "http://evil.example"},
        {"Host": "localhost", "Origin": "null"},
        {"Host": "localhost", "Origin": "http://localhost.evil.example"},
        {"Host": "localhost", "Origin": "http://localhost:9999"},
        {"Host": "localhost", "Sec-Fetch-Site": "cross-site"},
        {"Host": "localhost", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_an_open_gateway_is_not_for_pages_of_other_sites(opened: Bench, headers: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    data = json.dumps(BODY)
    sent = f"POST /v1/chat/completions HTTP/1.1\r\n{lines}Content-Length: {len(data)}\r\n\r\n{data}"
    reply = ask(opened.port, sent.encode())
    assert (reply.status, reply.code) == (403, "operation_not_allowed")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:4000", "[::1]:4000", "LOCALHOST:1"])
def test_an_open_gateway_is_for_this_machine(opened: Bench, host: str) -> None:
    data = json.dumps(BODY)
    sent = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(data)}\r\n\r\n{data}"
    assert ask(opened.port, sent.encode()).status == 200
