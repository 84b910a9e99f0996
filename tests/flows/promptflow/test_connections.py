"""Prompt flow's connection objects: fields by name, secrets never in print."""

from __future__ import annotations

import copy
import pickle

import pytest

from pilothouse.core.errors import ConnectionFault
from pilothouse.flows.promptflow.connections import (
    AzureOpenAIConnection,
    CustomConnection,
    CustomStrongTypeConnection,
    FixedConnection,
    OpenAIConnection,
    SerpConnection,
)
from pilothouse.flows.promptflow.values import Secret
from pilothouse.models.connection_types import TYPES
from pilothouse.tracing.snapshot import snapshot

KEY = "sk-very-secret-key"


class Strong(CustomStrongTypeConnection):
    key: Secret
    url: str = "https://default"


class Stronger(Strong):
    zone: str


MADE = [
    AzureOpenAIConnection("https://a", KEY),
    OpenAIConnection(api_key=KEY),
    SerpConnection(KEY),
    CustomConnection(secrets={"word": KEY}, configs={"url": "u"}),
    Strong(secrets={"key": KEY}),
]


@pytest.mark.parametrize("connection", MADE, ids=lambda item: type(item).__name__)
def test_no_secret_is_printed_traced_or_pickled(connection: CustomConnection) -> None:
    for text in (
        repr(connection),
        str(connection),
        f"{connection.secrets}",
        snapshot(connection),
        snapshot([connection]),
    ):
        assert KEY not in text
        assert type(connection).__name__ in text or "***" in text
    with pytest.raises(TypeError, match="secret is not pickled"):
        pickle.dumps(connection)
    assert KEY in dict(**connection).values()
    assert KEY in dict(**copy.deepcopy(connection)).values()


def test_the_fields_are_those_of_the_types() -> None:
    for kind in FixedConnection.__subclasses__():
        assert set(kind.FIELDS) <= set(TYPES[kind.KIND].fields)


def test_a_field_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(AttributeError, match="did you mean 'api_base'"):
        AzureOpenAIConnection("https://a", KEY).api_bse  # noqa: B018
    with pytest.raises(KeyError, match="no 'x'"):
        CustomConnection(secrets={})["x"]


@pytest.mark.parametrize(
    ("values", "named", "says"),
    [
        ((), {"api_key": KEY}, "needs api_base"),
        (("a", "b"), {"api_key": "c"}, "each once"),
        (tuple("abcdefgh"), {}, "each once"),
    ],
)
def test_a_connection_made_by_hand_needs_its_fields(values: tuple[str, ...], named: dict[str, str], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        AzureOpenAIConnection(*values, **named)


def test_a_token_takes_the_place_of_the_key() -> None:
    connection = AzureOpenAIConnection("https://a", auth_mode="meid_token", token="t")
    assert connection.api_key is None
    assert connection.get_token() == "t"
    with pytest.raises(ConnectionFault, match="has no token"):
        AzureOpenAIConnection("https://a", KEY).get_token()


def test_connections_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConnectionFault, match="AZURE_OPENAI_ENDPOINT"):
        AzureOpenAIConnection.from_env()
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://e")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    made = AzureOpenAIConnection.from_env("n")
    assert (made.name, made.api_base, made.api_key, made.api_version) == ("n", "https://e", KEY, "2024-10-21")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert OpenAIConnection.from_env().api_key == KEY


def test_a_strong_type_reads_its_own_and_its_bases_fields() -> None:
    made = Stronger(secrets={"key": KEY}, configs={"zone": "z"})
    assert (made.key, made.url, made.zone) == (KEY, "https://default", "z")
    made.key, made.url = "other", "https://o"
    assert (made.secrets["key"], made.configs["url"]) == ("other", "https://o")
    with pytest.raises(ConnectionFault, match="has no 'zone', which Stronger needs"):
        Stronger(secrets={"key": KEY})
