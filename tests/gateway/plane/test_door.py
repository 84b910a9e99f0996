"""Whoever comes to the door with the wrong key, body or address is told so in words, in the dialect's own shape."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from .conftest import CALLER, EXPIRED, MOST_BODY, NARROW, REVOKED, Door
from .wire import request

PATHS = ("/v1/chat/completions", "/v1/messages")
HELLO = [{"role": "user", "content": "hello"}]


def body(**changed: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": HELLO, "max_tokens": 9, **changed}


def spliced(text: str) -> bytes:
    """Return a body with raw JSON, whatever it is, as the value of `messages`."""
    return b'{"model":"chat","max_tokens":9,"messages":%b}' % text.encode()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "missing_api_key"),
        ("ph-nobody-knows-this-one", "invalid_api_key"),
        ("\xff\xfe\x80", "invalid_api_key"),
        ("x" * 8000, "invalid_api_key"),
        (EXPIRED, "key_expired"),
        (REVOKED, "key_revoked"),
    ],
)
def test_keys(door: Door, path: str, key: str, code: str) -> None:
    named = [("Authorization", b"Bearer " + key.encode("latin-1"))] if key else []
    door.refused(request(path=path, body=body(), headers=named), 401, code)


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-goog-api-key"])
def test_a_key_in_any_vendors_header(door: Door, header: str) -> None:
    door.refused(request(body=body(), headers=[(header, REVOKED)]), 401, "key_revoked")


def test_a_model_that_the_key_may_not_use(door: Door) -> None:
    door.refused(request(body=body(model="claude"), key=NARROW), 403, "model_not_allowed")


def test_an_operation_that_the_key_may_not_ask_for(door: Door) -> None:
    door.refused(request(body=body(), key=NARROW), 403, "operation_not_allowed")


def test_names_of_models_that_the_key_may_not_use_are_not_told(door: Door) -> None:
    reply = door.refused(request(body=body(model="claud"), key=NARROW), 404, "model_not_found")
    assert b"claude" not in reply.body
    assert b"slow" not in reply.body


DEEP = 100_000
MALFORMED = {
    "empty": b"",
    "truncated": b'{"model":"chat","messages":[{"role":"us',
    "no object": b"[1, 2]",
    "nan": b'{"model":"chat","messages":[],"temperature":NaN}',
    "infinity": b'{"model":"chat","messages":[],"temperature":-Infinity}',
    "deep lists": b'{"model":"chat","messages":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep objects": b'{"model":"chat","messages":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "deep and truncated": b'{"model":"chat","messages":' + b"[" * DEEP,
    "bad UTF-8 in a value": b'{"model":"chat","messages":[{"role":"user","content":"\xff"}]}',
    "bad UTF-8 in a name": b'{"model":"chat","\xc3":1,"messages":[]}',
    "bad UTF-8 outside": b'{"model":"chat","messages":[]}\xff',
    "overlong UTF-8": b'{"model":"ch\xc0\xafat","messages":[]}',
    "an encoded surrogate": b'{"model":"ch\xed\xa0\x80at","messages":[]}',
    "a byte order mark": b'\xef\xbb\xbf{"model":"chat","messages":[]}',
    "UTF-16": json.dumps(body()).encode("utf-16"),
    "a raw null": b'{"model":"ch\x00at","messages":[]}',
    "two objects": b"{}{}",
    "a comment": b'{"model":"chat",/*x*/"messages":[]}',
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_json_object(door: Door, path: str, name: str) -> None:
    data = MALFORMED[name]
    door.refused(request(path=path, body=data, key=CALLER, length=len(data)), 400, "invalid_json")


WRONG: dict[str, list[Any]] = {
    "model": [None, 7, [], {}, "", True, "m" * 600, "m" * 100_000],
    "messages": [None, 7, "x", {}, True],
    "stream": [1, "true", [], {}],
    "max_tokens": [-1, 0, 1.5, "9", [], True, 2**31, 10**30],
    "max_completion_tokens": [-5, 10**400],
    "n": [0, -3, 10**6, 10**30, "2", 1.5],
    "user": [7, [], {"a": 1}, "u" * 5000],
    "prompt_cache_key": [7, "s" * 5000],
    "metadata": [[], "x", {"a": 1}, {"a": []}, {"a": "x" * 600}, {"k" * 600: "x"}, {str(i): "x" for i in range(40)}],
    "tools": ["x", {}, 1],
    "stream_options": [[], 1, {"include_usage": "yes"}],
}
CASES = [(field, value) for field, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("field", "value"), CASES, ids=[f"{name}={repr(value)[:24]}" for name, value in CASES])
def test_wrong_values(door: Door, field: str, value: Any) -> None:
    reply = door.refused(request(body=body(**{field: value}), key=CALLER), 400, "invalid_request")
    assert field in reply.json["error"]["message"]
    assert len(reply.body) < 4096, "what was wrong is not sent back whole"


def test_a_model_that_is_not_there(door: Door) -> None:
    reply = door.refused(request(body=body(model="nobody\r\nx: y"), key=CALLER), 404, "model_not_found")
    assert reply.json["error"]["param"] == "model"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/nothing", 404, "unknown_endpoint"),
        ("POST", "/", 404, "unknown_endpoint"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("PUT", "/v1/messages", 405, "method_not_allowed"),
        ("TRACE", "/v1/messages", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/" + "x" * 5000, 404, "unknown_endpoint"),
        ("GET", "/v1/%00%ff%fe", 404, "unknown_endpoint"),
        ("GET", "http://elsewhere.example/v1/nothing", 404, "unknown_endpoint"),
        ("GET", "/v1/models/../../api/v1/keys", 404, "unknown_endpoint"),
    ],
)
def test_addresses(door: Door, method: str, path: str, status: int, code: str) -> None:
    door.refused(request(method, path, key=CALLER), status, code)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity", "x" * 500])
def test_compressed_bodies_are_refused(door: Door, encoding: str) -> None:
    data = gzip.compress(json.dumps(body()).encode())
    reply = door.refused(
        request(body=data, key=CALLER, headers=[("Content-Encoding", encoding)]), 415, "unsupported_encoding"
    )
    assert "Content-Encoding" in reply.json["error"]["message"]


def test_a_compressed_bomb_is_not_unpacked(door: Door) -> None:
    data = gzip.compress(bytes(50_000_000), 9)
    assert len(data) < MOST_BODY
    door.refused(request(body=data, key=CALLER, headers=[("Content-Encoding", "gzip")]), 415, "unsupported_encoding")


def test_double_names_mean_what_the_gateway_understood(door: Door) -> None:
    """The last of two equal names counts, for the gateway and for whoever is behind it."""
    data = (
        b'{"model":"nobody","model":"chat","max_tokens":100000,"max_tokens":3,"messages":'
        + json.dumps(HELLO).encode()
        + b"}"
    )
    from .wire import ask

    reply = ask(door.port, request(body=data, key=CALLER))
    assert reply.status == 200
    sent = door.served.mock.requests[-1].body
    assert sent.count(b'"model"') == 1
    assert sent.count(b'"max_tokens"') == 1
    assert json.loads(sent)["max_tokens"] == 3
