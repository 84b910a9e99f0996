"""Upstreams that lie: about length, form, usage, in their heads and errors; each in both dialects, whole or streamed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from pilothouse.gateway.settings import (
    CallRetries,
    CallTimeouts,
    DeploymentSettings,
    GatewaySettings,
    LimitRule,
    RouteSettings,
)

from ..running import UPSTREAM_SECRET, Gateway, running
from ..threaded import in_thread
from .conftest import CALLER, Door, key_ring
from .wire import Reply, ask, request

HELLO = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("lielength", "upstream_cut"),
        ("html", "upstream_malformed"),
        ("emptybody", ("upstream_malformed", "upstream_cut")),
        ("malformed", "upstream_malformed"),
        ("cut@2", "upstream_cut"),
        ("disconnect", ("upstream_error", "upstream_cut")),
        ("nousage", ""),
        ("usagetwice", ""),
    ],
)
def test_faults(door: Door, fault: str, code: Any, path: str, stream: bool) -> None:
    if fault == "lielength" and stream:
        code = ""  # its last event has come: how its connection ends changes nothing
    codes = (code,) if isinstance(code, str) else code
    door.served.settle()
    before = len(door.served.gateway.ledger.entries)
    body = {"model": f"up.{fault}", "messages": HELLO, "max_tokens": 20, "stream": stream}
    counted = sum(map(door.counted, codes)) if code else 0
    reply = ask(door.port, request(path=path, body=body, key=CALLER))
    door.left_nothing(reply.body)
    row = door.served.gateway.ledger.entries[before]
    assert row.code in codes
    if code:
        assert row.code.encode() in reply.body
        assert sum(map(door.counted, codes)) > counted
    else:
        assert row.usage is not None
        assert row.usage.output_tokens >= 5
        assert row.cost is not None


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def answer(**changed: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **changed}
    data = json.dumps(whole).encode()
    return HEAD + b"content-length: %d\r\n\r\n" % len(data) + data


def usage(**changed: Any) -> bytes:
    return answer(usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, **changed})


def refusal(words: str, status: int = 401) -> bytes:
    data = json.dumps({"error": {"message": words, "type": "x", "code": "x"}}).encode()
    return (
        b"HTTP/1.1 %d No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(data)) + data
    )


LIES: dict[str, tuple[bytes, str]] = {
    "negative usage": (usage(prompt_tokens=-5), ""),
    "usage beyond all": (usage(completion_tokens=10**30), ""),
    "usage in words": (usage(prompt_tokens="many"), "upstream_malformed"),
    "more cached than read": (usage(prompt_tokens_details={"cached_tokens": 900}), ""),
    "a NaN": (HEAD + b'content-length: 14\r\n\r\n{"choices":NaN', "upstream_malformed"),
    "deep": (HEAD + b"content-length: 100000\r\n\r\n" + b"[" * 100_000, "upstream_malformed"),
    "deep inside": (answer(x=0).replace(b'"x": 0', b'"x":0,"y":' + b"[" * 9000), "upstream_malformed"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", "upstream_cut"),
    "an endless head": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2_000_000, "upstream_cut"),
    "many headers": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000 + b"\r\n", "upstream_cut"),
    "odd bytes in its type": (HEAD.replace(b"application/json", b"\xff\xfe/\x80") + b"content-length: 2\r\n\r\n{}", ""),
    "a type that splits": (
        HEAD.replace(b"application/json", b"application/json\rset-cookie: a=b") + b"content-length: 2\r\n\r\n{}",
        "",
    ),
    "two lengths": (HEAD + b"content-length: 2\r\ncontent-length: 40\r\n\r\n{}", ""),
    "a bad chunk": (HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", "upstream_cut"),
    "compressed": (
        HEAD + b"content-encoding: gzip\r\ncontent-length: 12\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48",
        "upstream_malformed",
    ),
    "a redirect": (b"HTTP/1.1 307 Go\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n", ""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
    "only information": (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, ""),
    "status 999": (b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n", ""),
    "a wait for ever": (b"HTTP/1.1 429 No\r\nretry-after: 9999999999999\r\ncontent-length: 0\r\n\r\n", ""),
    "a wait of nonsense": (b"HTTP/1.1 429 No\r\nretry-after: -1e999\xff\r\ncontent-length: 0\r\n\r\n", ""),
    "its key in the error": (refusal(f"Incorrect API key provided: {UPSTREAM_SECRET}."), ""),
    "its key in a bad request": (refusal(f"Bad header: Bearer {UPSTREAM_SECRET}\r\nSet-Cookie: a=b", 400), ""),
    "its key in a page": (
        b"HTTP/1.1 500 No\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<title>" + UPSTREAM_SECRET.encode(),
        "",
    ),
    "its key in a whole answer that is an error": (HEAD + b"\r\n" + refusal(f"no: {UPSTREAM_SECRET}")[90:], ""),
}


@asynccontextmanager
async def liar(settings: GatewaySettings) -> Any:
    """A gateway in front of a server that answers each model with the bytes of `LIES`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        model = json.loads(await reader.readexactly(length))["model"]
        writer.write(LIES[model][0])
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with running(settings, {"liar": ("open_ai", address)}, keys=key_ring()) as gateway:
            yield gateway, asyncio.get_running_loop()


@pytest.fixture(scope="module")
def lied() -> Iterator[tuple[Gateway, asyncio.AbstractEventLoop]]:
    routes = {
        name: RouteSettings(
            deployments=(DeploymentSettings(connection="liar", model=name, name=name),),
            retries=CallRetries(attempts=1),
            timeouts=CallTimeouts(first_token=10.0, idle=10.0, total=10.0),
        )
        for name in LIES
    }
    limits = (LimitRule(name="money", dollars=10**6, per="month"), LimitRule(name="tokens", tokens=10**12))
    with in_thread(lambda: liar(GatewaySettings(access="keys", routes=routes, limits=limits))) as found:
        yield found


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("name", LIES)
def test_lies(
    lied: tuple[Gateway, asyncio.AbstractEventLoop],
    capsys: pytest.CaptureFixture[str],
    name: str,
    path: str,
    stream: bool,
) -> None:
    gateway, loop = lied
    before = len(gateway.ledger.entries)
    body = {"model": name, "messages": HELLO, "max_tokens": 20, "stream": stream}
    reply: Reply = ask(int(gateway.url.rpartition(":")[2]), request(path=path, body=body, key=CALLER))
    asyncio.run_coroutine_threadsafe(gateway.settled(), loop).result(20)
    (row,) = gateway.ledger.entries[before:]
    assert row.code != "internal_error"
    assert reply.status
    assert set(reply.headers) <= {
        "content-type",
        "content-length",
        "transfer-encoding",
        "cache-control",
        "x-accel-buffering",
        "retry-after",
        *(f"x-pilothouse-{word}" for word in ("call", "overhead-us", "config", "deployment")),
    }
    if LIES[name][1]:
        assert row.code == LIES[name][1], reply
    if row.code and not stream:
        assert reply.json["error"]["code"] == row.code
        assert reply.json["error"]["message"]
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    told = reply.body.decode("utf-8", "replace") + str(reply.headers) + repr(row) + said
    assert UPSTREAM_SECRET not in told
    assert UPSTREAM_SECRET[:10] not in told
    assert CALLER not in told
    assert "169.254" not in told
    if row.usage is not None:
        counts = [value for value in map(row.usage.__getattribute__, row.usage.__struct_fields__) if value]
        assert all(0 <= value < 2**40 for value in counts), row.usage
        assert row.usage.cached_input_tokens <= row.usage.input_tokens
    assert row.cost is None or 0 <= row.cost < 2**62
    assert gateway.limiter is not None
    states = asyncio.run_coroutine_threadsafe(gateway.limiter.usage(), loop).result(20)
    assert not any(state.held for state in states)
    assert all(0 <= state.used < 2**62 for state in states)
