"""Bodies of strangers at the API: refused in words, never as a defect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":' + b"[" * 100_000,
        b'{"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        b'{"name":"\xff"}',
        b'{"name":NaN}',
        b'{"name":"a","expires_at":1e999}',
        b"\x00",
    ],
    ids=["deep", "deep objects", "no UTF-8", "NaN", "infinite", "null byte"],
)
@pytest.mark.parametrize("path", ["/api/v1/keys", "/api/v1/routes", "/api/v1/limits"])
def test_refused_in_words(api: Any, make: Callable[..., str], path: str, body: bytes) -> None:
    answer = api("POST", path, body, token=make("boss", role="admin"))
    assert answer.status in {400, 404, 405}
    assert answer.code != "internal_error"
    assert answer.body["error"]["message"]


@pytest.mark.parametrize("role", ["caller", "viewer"])
@pytest.mark.parametrize("path", ["/api/v1/keys", "/api/v1/gateway/routes"])
def test_no_rights_no_change(api: Any, make: Callable[..., str], role: str, path: str) -> None:
    """Rights are looked at before the body is read: even a body that cannot be read tells a stranger nothing."""
    answer = api("POST", path, b"{", token=make("low", role=role))
    assert answer.status in {403, 404, 405}
