"""HTTP as hostile, old or hasty clients speak it: each answered or ended within bounds, and nothing is left behind."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from .conftest import CALLER, MOST_BODY, Door
from .wire import PATIENCE, Wire, ask, chunked, request

BODY: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
GOOD = request(body=BODY, key=CALLER)
CHUNKED = [("Transfer-Encoding", "chunked")]
HUGE = 100_000_000


def test_a_declared_huge_body_is_refused_before_it_comes(door: Door) -> None:
    door.refused(request(key=CALLER, length=HUGE), 413, "body_too_large")


@pytest.mark.parametrize("length", ["9" * 19, "9" * 18])
def test_an_absurd_length(door: Door, length: str) -> None:
    door.refused(request(key=CALLER, headers=[("Content-Length", length)]), 413, "body_too_large")


def test_a_huge_body_in_chunks_is_refused_at_the_limit(door: Door) -> None:
    before = door.counted("body_too_large")
    with Wire(door.port) as wire:
        wire.send(request(key=CALLER, headers=CHUNKED))
        sent, piece = 0, chunked([b"x" * 65_536])[: -len(b"0\r\n\r\n")]
        wire.socket.setblocking(True)
        while sent < HUGE and door.counted("body_too_large") == before:
            wire.send(piece)
            sent += len(piece)
        reply = wire.reply()
    assert (reply.status, reply.code) == (413, "body_too_large")
    assert sent < 20 * MOST_BODY
    door.left_nothing(reply.body)


def test_a_body_in_many_tiny_chunks(door: Door) -> None:
    data = json.dumps(BODY).encode()
    pieces = [data[place : place + 1] for place in range(len(data))]
    assert ask(door.port, request(key=CALLER, headers=CHUNKED, body=chunked(pieces))).status == 200


@pytest.mark.parametrize("number", [129, 5000])
def test_a_flood_of_headers(door: Door, number: int) -> None:
    flood = [(f"x-{place}", "y") for place in range(number)]
    door.refused(request(body=BODY, key=CALLER, headers=flood), 431, "headers_too_large")


@pytest.mark.parametrize(
    "data",
    [
        request(headers=[("x-long", "y" * 70_000)]),
        request(headers=[("x" * 70_000, "y")]),
        request("GET", "/" + "x" * 70_000),
        b"GET /" + b"x" * 300_000,
        b"GET / HTTP/1.1\r\nx-long: " + b"y" * 300_000,
    ],
    ids=["value", "name", "address", "endless address", "endless value"],
)
def test_a_long_head(door: Door, data: bytes) -> None:
    door.refused(data, 431, "headers_too_large")


NOT_HTTP = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "version 9": b"GET /v1/models HTTP/9.9\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a null in the address": b"GET /v1/mo\x00dels HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a null in a header": request(body=BODY, headers=[("x-odd", b"a\x00b")]),
    "a bare return in a header": request(body=BODY, headers=[("x-odd", b"a\rb")]),
    "a space in a header's name": request(body=BODY, headers=[("x odd", "a")]),
    "a name of HTTP/2": request(body=BODY, headers=[(":path", "files/x")]),
    "two lengths": request(headers=[("Content-Length", "5"), ("Content-Length", "6")]) + b"hello!",
    "a negative length": request(headers=[("Content-Length", "-5")]),
    "a length that is none": request(headers=[("Content-Length", "five")]),
    "a length beyond all": request(headers=[("Content-Length", "9" * 400)]),
    "length and chunks": request(headers=[("Content-Length", "5"), *CHUNKED], body=chunked([b"hello"])),
    "a bad chunk": request(key=CALLER, headers=CHUNKED) + b"zz\r\nhello\r\n0\r\n\r\n",
    "a negative chunk": request(key=CALLER, headers=CHUNKED) + b"-1\r\nhello\r\n0\r\n\r\n",
    "a folded header": b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n",
    "unknown coding": request(key=CALLER, headers=[("Transfer-Encoding", "gzip")], body=b"x"),
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http(door: Door, name: str) -> None:
    door.refused(NOT_HTTP[name], 400, "invalid_request", counted="malformed_request")


def test_a_slow_head(door: Door) -> None:
    before = door.counted("slow_head")
    with Wire(door.port) as wire:
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: loc")
        reply = wire.reply()
        assert wire.is_closed()
    assert (reply.status, reply.code) == (408, "body_timeout")
    assert door.counted("slow_head") == before + 1


def test_a_client_that_says_nothing_is_let_go(door: Door) -> None:
    with Wire(door.port) as wire:
        assert wire.reply().status in {0, 408}


@pytest.mark.parametrize("begun", [b"", b'{"model":'], ids=["not begun", "begun"])
def test_a_body_that_does_not_come(door: Door, begun: bytes) -> None:
    door.refused(request(key=CALLER, body=begun, length=5000), 408, "body_timeout")


def test_a_body_that_drips(door: Door) -> None:
    """A byte now and then does not keep a call alive."""
    with Wire(door.port) as wire:
        wire.send(request(key=CALLER, length=5000))
        wire.socket.settimeout(0.1)
        dripped = 0
        while dripped < 5 * PATIENCE:
            wire.send(b" ")
            dripped += 1
            try:
                if wire.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        wire.socket.settimeout(PATIENCE)
        reply = wire.reply()
    assert (reply.status, reply.code) == (408, "body_timeout")
    door.left_nothing(reply.body)


def test_the_rest_of_a_refused_body_is_not_waited_for(door: Door) -> None:
    """Who was refused and goes on dripping loses the connection."""
    with Wire(door.port) as wire:
        wire.send(request(key=CALLER, length=HUGE))
        assert wire.reply().status == 413
        wire.send(b"x")
        assert wire.is_closed()


def test_expect_100(door: Door) -> None:
    """The client waits for the word to go on, and gets it at once."""
    data = json.dumps(BODY).encode()
    with Wire(door.port) as wire:
        wire.send(request(key=CALLER, headers=[("Expect", "100-continue")], length=len(data)))
        assert wire.reply().status == 100
        wire.send(data)
        assert wire.reply().status == 200


def test_expect_100_of_a_body_that_is_not_wanted(door: Door) -> None:
    with Wire(door.port) as wire:
        wire.send(request(key=CALLER, headers=[("Expect", "100-continue")], length=HUGE))
        assert wire.reply().status == 413
        assert wire.is_closed(), "what comes next could be the body or another request"


def test_endless_trailers(door: Door) -> None:
    with Wire(door.port) as wire:
        wire.send(request(key=CALLER, headers=CHUNKED) + b"2\r\n{}\r\n0\r\nx-long: " + b"y" * 300_000)
        assert wire.reply().status in {400, 431}
        assert wire.is_closed()


def test_endless_extensions_of_a_chunk(door: Door) -> None:
    with Wire(door.port) as wire:
        wire.send(request(key=CALLER, headers=CHUNKED) + b"2;x=" + b"y" * 300_000)
        assert wire.reply().status in {400, 431}
        assert wire.is_closed()


def test_head(door: Door) -> None:
    for path in ("/v1/models", "/v1/chat/completions"):
        with Wire(door.port) as wire:
            wire.send(request("HEAD", path, key=CALLER) + request("GET", "/v1/models", key=CALLER))
            assert wire.reply(head=True).status == 405
            assert wire.reply().status == 200


def test_http_1_0(door: Door) -> None:
    reply = ask(door.port, request(body=BODY, key=CALLER, version="1.0"))
    assert reply.status == 200
    assert reply.headers["connection"] == "close"


def test_a_stream_for_http_1_0_is_not_chunked(door: Door) -> None:
    """A client of that version takes a chunk's length for a part of the answer."""
    reply = ask(door.port, request(body={**BODY, "stream": True}, key=CALLER, version="1.0"))
    assert "transfer-encoding" not in reply.headers
    assert reply.body.startswith(b"data: {")
    assert reply.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["http://localhost/v1/chat/completions", "http://elsewhere:1/v1/chat/completions"])
def test_absolute_form(door: Door, path: str) -> None:
    assert ask(door.port, request(path=path, body=BODY, key=CALLER)).status == 200


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_upgrades_are_not_made(door: Door, upgrade: str) -> None:
    asked = [("Connection", "Upgrade"), ("Upgrade", upgrade), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    assert ask(door.port, request("GET", "/v1/models", key=CALLER, headers=asked)).status == 200


def test_connect_is_not_a_way_through(door: Door) -> None:
    reply = ask(door.port, b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n")
    assert reply.status in {400, 404, 405}


def test_pipelined_requests_are_answered_in_order(door: Door) -> None:
    models = [request("GET", f"/v1/models/{name}", key=CALLER) for name in ("chat", "claude", "slow")]
    with Wire(door.port) as wire:
        wire.send(GOOD + b"".join(models) + request("GET", "/v1/nothing", key=CALLER))
        assert wire.reply().json["object"] == "chat.completion"
        assert [wire.reply().json["id"] for _ in models] == ["chat", "claude", "slow"]
        assert wire.reply().code == "unknown_endpoint"


def test_thousands_of_pipelined_requests(door: Door) -> None:
    with Wire(door.port) as wire:
        wire.send(request("GET", "/v1/models/chat", key=CALLER) * 2000)
        assert {wire.reply().status for _ in range(2000)} == {200}


def test_a_request_after_a_refused_one_is_not_swallowed(door: Door) -> None:
    bad = request(body=b"{", key=CALLER)
    with Wire(door.port) as wire:
        wire.send(bad + GOOD)
        assert [wire.reply().status for _ in range(2)] == [400, 200]


STAGES = {
    "inside the head": request(key=CALLER, length=50)[:40],
    "before the body": request(key=CALLER, length=50),
    "inside the body": request(key=CALLER, length=50, body=b'{"model":'),
    "before the answer": request(body={**BODY, "model": "hang"}, key=CALLER),
    "before the stream": request(body={**BODY, "model": "hang", "stream": True}, key=CALLER),
}


@pytest.mark.parametrize("abort", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("stage", STAGES)
def test_clients_that_go(door: Door, stage: str, abort: bool) -> None:
    gateway, bill = door.served.gateway, door.served.mock.bill
    door.served.settle()
    rows, asked = len(gateway.ledger.entries), bill.count("requests")
    with Wire(door.port) as wire:
        wire.send(STAGES[stage])
        if "hang" in STAGES[stage].decode():
            while bill.count("requests") == asked:
                pass
        _go(wire, abort=abort)
    door.sane()
    door.left_nothing()
    for row in gateway.ledger.entries[rows:-1]:
        assert (row.status, row.code) == ("cancelled", "client_gone")


@pytest.mark.parametrize("abort", [False, True], ids=["closes", "resets"])
@pytest.mark.parametrize("behind", [b"", request("GET", "/v1/models", key=CALLER)], ids=["alone", "pipelined"])
def test_a_client_that_goes_inside_a_stream(door: Door, behind: bytes, abort: bool) -> None:
    """What was delivered is settled, and the upstream is not asked for the rest: another request behind or not."""
    gateway = door.served.gateway
    door.served.settle()
    rows = len(gateway.ledger.entries)
    with Wire(door.port) as wire:
        wire.send(request(body={**BODY, "model": "slow", "stream": True}, key=CALLER) + behind)
        while not wire.line().startswith(b"data: "):
            pass
        _go(wire, abort=abort)
    door.left_nothing()
    row = gateway.ledger.entries[rows]
    assert (row.status, row.code) == ("cancelled", "client_gone")
    assert row.usage is not None
    assert 0 < row.usage.output_tokens < 50


def _go(wire: Wire, *, abort: bool) -> None:
    if abort:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    wire.close()
