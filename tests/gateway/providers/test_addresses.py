"""Where each vendor is asked, with which headers, in which form."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pilothouse.core.errors import ConnectionFault
from pilothouse.gateway.providers.interface import Outgoing, Provider
from pilothouse.gateway.refusals import Refusal
from pilothouse.models.secret import Secret

Provide = Callable[..., Provider]
KEY = "sk-very-secret-key"


def shown(outgoing: Outgoing) -> dict[str, str]:
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in outgoing.headers}


CHAT = ("openai.chat", "openai.completions", "openai.responses", "anthropic.messages")

CASES = [
    ("open_ai", {"api_key": KEY}, "openai.chat", "https://api.openai.com/v1/chat/completions", "authorization"),
    (
        "open_ai",
        {"api_key": KEY, "base_url": "https://eu.api.openai.com/v1"},
        "openai.responses",
        "https://eu.api.openai.com/v1/responses",
        "authorization",
    ),
    ("open_ai", {"api_key": KEY}, "openai.responses", "https://api.openai.com/v1/responses", "authorization"),
    ("open_ai", {"api_key": KEY}, "openai.speech", "https://api.openai.com/v1/audio/speech", "authorization"),
    (
        "open_ai",
        {"api_key": KEY, "base_url": "http://h:1/v1/"},
        "cohere.rerank",
        "http://h:1/v1/rerank",
        "authorization",
    ),
    (
        "azure_open_ai",
        {"api_key": KEY, "api_base": "https://a.openai.azure.com/"},
        "openai.chat",
        "https://a.openai.azure.com/openai/deployments/my%20model%2F1/chat/completions?api-version=2024-10-21",
        "api-key",
    ),
    (
        "azure_open_ai",
        {"api_key": KEY, "api_base": "https://a", "api_version": "v1"},
        "openai.responses",
        "https://a/openai/v1/responses",
        "api-key",
    ),
    (
        "azure_open_ai",
        {"api_key": KEY, "api_base": "https://a", "api_version": "preview"},
        "openai.embeddings",
        "https://a/openai/v1/embeddings?api-version=preview",
        "api-key",
    ),
    (
        "azure_open_ai",
        {"api_key": KEY, "api_base": "https://a", "api_version": "2025-04-01-preview"},
        "openai.responses",
        "https://a/openai/responses?api-version=2025-04-01-preview",
        "api-key",
    ),
    (
        "azure_open_ai",
        {"token": KEY, "auth_mode": "meid_token", "api_base": "https://a"},
        "openai.images",
        "https://a/openai/deployments/my%20model%2F1/images/generations?api-version=2024-10-21",
        "authorization",
    ),
    ("anthropic", {"api_key": KEY}, "anthropic.messages", "https://api.anthropic.com/v1/messages", "x-api-key"),
    (
        "anthropic",
        {"api_key": KEY, "base_url": "http://h/v1/"},
        "anthropic.count_tokens",
        "http://h/v1/messages/count_tokens",
        "x-api-key",
    ),
    ("mistral", {"api_key": KEY}, "openai.embeddings", "https://api.mistral.ai/v1/embeddings", "authorization"),
    ("ollama", {"base_url": "http://h:11434"}, "openai.chat", "http://h:11434/v1/chat/completions", ""),
    ("vllm", {"api_key": KEY, "base_url": "http://h"}, "cohere.rerank", "http://h/v1/rerank", "authorization"),
    (
        "serverless",
        {"api_key": KEY, "api_base": "https://s"},
        "openai.chat",
        "https://s/v1/chat/completions",
        "authorization",
    ),
    ("cohere", {"api_key": KEY}, "cohere.chat", "https://api.cohere.com/v2/chat", "authorization"),
    ("cohere", {"api_key": KEY}, "cohere.embed", "https://api.cohere.com/v2/embed", "authorization"),
    (
        "gemini",
        {"api_key": KEY},
        "gemini.generate",
        "https://generativelanguage.googleapis.com/v1beta/models/my%20model%2F1:generateContent",
        "x-goog-api-key",
    ),
    (
        "vertex",
        {"project": "p", "token": KEY, "location": "eu"},
        "gemini.generate",
        "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/publishers/google/models/my%20model%2F1:generateContent",
        "authorization",
    ),
    (
        "bedrock",
        {"region": "us-east-1", "api_key": KEY},
        "bedrock.converse",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/my%20model%2F1/converse",
        "authorization",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "wire", "url", "header"), CASES)
def test_each_vendor_is_asked_at_its_address_with_its_key(
    provide: Provide, kind: str, fields: dict[str, str], wire: str, url: str, header: str
) -> None:
    provider = provide(kind, **fields)

    outgoing = provider.outgoing(wire, "my model/1", b"{}", stream=False, headers={"authorization": "Bearer client"})

    assert (outgoing.method, outgoing.url, outgoing.body) == ("POST", url, b"{}")
    headers = shown(outgoing)
    assert headers["content-type"] == "application/json"
    assert "client" not in str(headers)
    if header:
        assert headers[header].removeprefix("Bearer ") == KEY
    assert KEY not in repr(outgoing)


def test_a_stream_of_google_has_a_verb_of_its_own(provide: Provide) -> None:
    gemini = provide("gemini", api_key=KEY, base_url="http://h/v1beta")
    vertex = provide("vertex", project="p", location="europe-west1", token=KEY)

    whole = [p.outgoing("gemini.generate", "models/g", b"{}", stream=True, headers={}).url for p in (gemini,)]
    place = vertex.outgoing("gemini.generate", "g@001", b"{}", stream=True, headers={}).url

    assert whole == ["http://h/v1beta/models/g:streamGenerateContent?alt=sse"]
    assert place == (
        "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1"
        "/publishers/google/models/g@001:streamGenerateContent?alt=sse"
    )


def test_vectors_of_vertex_are_predicted(provide: Provide) -> None:
    vertex = provide("vertex", project="p", token=KEY)
    body = json.dumps({"requests": [{"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}]}).encode()

    outgoing = vertex.outgoing("gemini.embed", "gemini-embedding-001", body, stream=False, headers={})

    assert outgoing.url.endswith("/models/gemini-embedding-001:predict")
    assert json.loads(outgoing.body) == {"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 8}}


def test_anthropics_models_at_vertex_get_their_version_in_the_body(provide: Provide) -> None:
    vertex = provide("vertex", project="p", publisher="anthropic", location="us-east5", token=KEY)

    sent = vertex.outgoing(
        "anthropic.messages",
        "claude-x@1",
        b'{"model":"claude-x@1","max_tokens":1,"stream":true}',
        stream=True,
        headers={"anthropic-beta": "b"},
    )
    count = vertex.outgoing("anthropic.count_tokens", "c", b'{"model":"c"}', stream=False, headers={})

    assert sent.url.endswith("/publishers/anthropic/models/claude-x@1:streamRawPredict")
    assert json.loads(sent.body) == {"max_tokens": 1, "stream": True, "anthropic_version": "vertex-2023-10-16"}
    assert shown(sent)["anthropic-beta"] == "b"
    assert count.url.endswith("/publishers/anthropic/models/count-tokens:rawPredict")
    assert json.loads(count.body)["model"] == "c"
    assert [vertex.wire(wire) for wire in CHAT] == ["anthropic.messages"] * 4
    assert vertex.dialect == "anthropic"


WIRES = {
    "open_ai": {"openai.chat": "openai.chat", "openai.responses": "openai.responses", "cohere.rerank": None},
    "anthropic": {"openai.chat": "anthropic.messages", "anthropic.count_tokens": "anthropic.count_tokens"},
    "mistral": {"openai.completions": "openai.chat", "openai.moderations": "openai.moderations"},
    "ollama": {"openai.responses": "openai.chat", "openai.images": None},
    "vllm": {"openai.responses": "openai.responses", "cohere.rerank": "cohere.rerank"},
    "cohere": {"openai.chat": "cohere.chat", "openai.embeddings": "cohere.embed", "openai.images": None},
    "gemini": {"anthropic.messages": "gemini.generate", "openai.embeddings": "gemini.embed", "cohere.rerank": None},
    "bedrock": {"openai.chat": "bedrock.converse", "openai.embeddings": "bedrock.embed", "openai.raw": None},
}
FIELDS = {"bedrock": {"region": "r", "api_key": KEY}, "ollama": {}, "vllm": {}}


@pytest.mark.parametrize("kind", WIRES)
def test_a_form_is_spoken_or_translated_or_not_served(provide: Provide, kind: str) -> None:
    provider = provide(kind, **FIELDS.get(kind, {"api_key": KEY}))

    assert {wire: provider.wire(wire) for wire in WIRES[kind]} == WIRES[kind]
    assert all(provider.wire(wire) is not None for wire in CHAT)
    if kind != "anthropic":
        assert provider.wire("anthropic.count_tokens") is None


def test_openais_regional_hosts_are_openai(provide: Provide) -> None:
    provider = provide("open_ai", api_key=KEY, base_url="https://eu.api.openai.com/v1")

    assert (provider.name, provider.wire("openai.responses")) == ("openai", "openai.responses")


def test_an_old_version_of_azure_is_asked_for_chat_in_place_of_responses(provide: Provide) -> None:
    old = provide("azure_open_ai", api_key=KEY, api_base="https://a", api_version="2024-06-01")

    outgoing = old.outgoing("openai.chat", "d", b'{"stream":true,"stream_options":{"a":1}}', stream=True, headers={})

    assert old.wire("openai.responses") == "openai.chat"
    assert json.loads(outgoing.body) == {"stream": True}


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5.1", "ft:gpt-5-mini:x"])
def test_a_reasoning_model_gets_the_limit_under_the_name_it_takes(provide: Provide, model: str) -> None:
    provider = provide("open_ai", api_key=KEY)
    body = b'{"model":"m","max_tokens":7,"messages":[]}'

    renamed = provider.outgoing("openai.chat", model, body, stream=False, headers={}).body

    assert json.loads(renamed) == {"model": "m", "max_completion_tokens": 7, "messages": []}
    assert provider.outgoing("openai.chat", "gpt-4o", body, stream=False, headers={}).body is body


def test_only_known_headers_of_the_client_are_handed_on(provide: Provide) -> None:
    given = {
        "openai-beta": "x",
        "idempotency-key": "i",
        "cookie": "c",
        "host": "h",
        "x-api-key": "client",
        "content-type": "text/html",
    }

    headers = shown(provide("open_ai", api_key=KEY).outgoing("openai.chat", "m", b"", stream=False, headers=given))

    assert headers == {
        "authorization": f"Bearer {KEY}",
        "openai-beta": "x",
        "idempotency-key": "i",
        "content-type": "application/json",
    }


def test_a_form_with_files_keeps_its_boundary(provide: Provide) -> None:
    kind = "multipart/form-data; boundary=abc"
    given = {"content-type": kind, ":path": "audio/translations", ":method": "POST"}

    outgoing = provide("open_ai", api_key=KEY).outgoing("openai.transcriptions", "m", b"", stream=False, headers=given)

    assert outgoing.url == "https://api.openai.com/v1/audio/translations"
    assert shown(outgoing)["content-type"] == kind


def test_what_passes_raw_keeps_its_method_and_path(provide: Provide) -> None:
    given = {":path": "files/file-1/content?a=b", ":method": "GET"}

    outgoing = provide("open_ai", api_key=KEY).outgoing("openai.raw", "", b"", stream=False, headers=given)
    azure = provide("azure_open_ai", api_key=KEY, api_base="https://a").outgoing(
        "openai.raw", "", b"", stream=False, headers=given
    )

    assert (outgoing.method, outgoing.url) == ("GET", "https://api.openai.com/v1/files/file-1/content?a=b")
    assert azure.url == "https://a/openai/files/file-1/content?a=b&api-version=2024-10-21"


@pytest.mark.parametrize(
    "path",
    [
        "../admin",
        "files/../../x",
        "files//x",
        "files/%2e%2e/x",
        "files/a#b",
        "@evil/x",
        "files\\x",
        "a b",
        "é",
        "a?b?c",
        "./x",
    ],
)
def test_a_path_that_climbs_is_refused(provide: Provide, path: str) -> None:
    with pytest.raises(Refusal) as caught:
        provide("open_ai", api_key=KEY).outgoing("openai.raw", "", b"", stream=False, headers={":path": path})
    assert caught.value.code == "unknown_endpoint"


def test_a_path_of_another_form_is_not_taken(provide: Provide) -> None:
    given = {":path": "files/secret"}

    outgoing = provide("open_ai", api_key=KEY).outgoing("openai.images", "m", b"", stream=False, headers=given)

    assert outgoing.url == "https://api.openai.com/v1/images/generations"


@pytest.mark.parametrize("kind", ["local", "scripted", "serp"])
def test_a_connection_without_requests_is_told_apart(provide: Provide, kind: str) -> None:
    with pytest.raises(ConnectionFault) as caught:
        provide(kind, **({"api_key": KEY} if kind == "serp" else {}))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("address", ["api.openai.com/v1", "ftp://x", "http://", "https://x/v1?key=1", "http://[::1"])
def test_an_address_that_is_none_is_refused_at_once(provide: Provide, address: str) -> None:
    with pytest.raises(ConnectionFault, match="no address"):
        provide("open_ai", api_key=KEY, base_url=address)


@pytest.mark.parametrize("model", ["..", ".", ""])
@pytest.mark.parametrize("kind", ["azure_open_ai", "bedrock", "gemini", "vertex"])
def test_a_model_that_climbs_is_refused(provide: Provide, kind: str, model: str) -> None:
    fields = {
        "azure_open_ai": {"api_key": KEY, "api_base": "https://a"},
        "bedrock": {"region": "r", "api_key": KEY},
        "gemini": {"api_key": KEY},
        "vertex": {"project": "p", "token": KEY},
    }
    provider = provide(kind, **fields[kind])

    with pytest.raises(Refusal):
        provider.outgoing(provider.wire("openai.chat") or "openai.chat", model, b"{}", stream=False, headers={})
