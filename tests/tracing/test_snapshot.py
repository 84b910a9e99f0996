"""Arguments and results as text: bounded, without secrets, never raising."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilothouse.tracing.snapshot import is_secret_name, snapshot


class Secret:
    """Stands in for the secret of the room above: known by its name."""

    def __init__(self, value: str) -> None:
        self.value = value


class Settings(msgspec.Struct):
    url: str
    api_key: str
    inner: Any = None


@dataclasses.dataclass
class Login:
    user: str
    password: str


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def plain(value: object) -> Any:
    return json.loads(snapshot(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        ((1, {2}), [1, [2]]),
        ({1: "one"}, {"1": "one"}),
        (float("nan"), "nan"),
        ("\ud800", "\\ud800"),
        (
            Settings("u", "sk-1", Login("me", "pw")),
            {"url": "u", "api_key": "***", "inner": {"user": "me", "password": "***"}},
        ),
        (Secret("sk-1"), "***"),
        ([Secret("sk-1")], ["***"]),
        ({"connection": {"accessToken": "sk-1"}}, {"connection": {"accessToken": "***"}}),
        (b"bytes", "b'bytes'"),
        (Rude(), "<Rude: its repr raised RuntimeError>"),
        (np.arange(3), "array([0, 1, 2])"),
        (Settings, repr(Settings)),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert plain(value) == expected


@pytest.mark.parametrize(
    "name",
    [
        "key",
        "apikey",
        "api_key",
        "apiKey",
        "OPENAI-API-KEY",
        "token",
        "access_token",
        "accessToken",
        "secret",
        "client_secret_id",
        "password",
        "db_passwd",
        "passphrase",
        "credentials",
        "authorization",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["keyword", "monkey", "keys", "max_tokens", "tokens", "tokenizer", "author", "text"])
def test_names_that_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_a_number_is_no_secret() -> None:
    assert plain({"token": 7, "key": None, "secret": True}) == {"token": 7, "key": None, "secret": True}


def test_long_text_is_cut_and_says_how_long_it_was() -> None:
    assert plain("x" * 10_000) == "x" * 4096 + "… [10000 characters]"
    text = snapshot(["y" * 4000] * 20, limit=1000)
    assert text.startswith('["yyy')
    assert text.endswith("… [80061 characters]")
    assert len(text) < 1100


def test_large_and_deep_things_are_cut() -> None:
    assert len(plain(list(range(1_000_000)))) == 257
    assert plain(list(range(1_000_000)))[-1] == "… more items"
    assert plain({str(n): n for n in range(1000)})["…"] == "more entries"
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert snapshot(deep) == "[" * 8 + '"…"' + "]" * 8


def test_a_thing_that_holds_itself() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert snapshot(circle).startswith("[[[[")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
        max_leaves=20,
    )
)
def test_anything_gives_valid_json(value: Any) -> None:
    json.loads(snapshot(value, limit=1_000_000))
