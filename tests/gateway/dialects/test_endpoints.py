"""Which address asks for what."""

import pytest

from pilothouse.gateway.dialects.endpoints import dialect_of, endpoint
from pilothouse.gateway.refusals import Refusal


@pytest.mark.parametrize(
    ("method", "path", "operation", "wire"),
    [
        ("POST", "/v1/chat/completions", "chat", "openai.chat"),
        ("POST", "/v1/chat/completions/", "chat", "openai.chat"),
        ("POST", "/v1/completions", "chat", "openai.completions"),
        ("POST", "/v1/responses", "chat", "openai.responses"),
        ("POST", "/openai/v1/responses", "chat", "openai.responses"),
        ("POST", "/v1/embeddings", "embeddings", "openai.embeddings"),
        ("POST", "/v1/images/edits", "images", "openai.images"),
        ("POST", "/v1/audio/speech", "speech", "openai.speech"),
        ("POST", "/v1/audio/translations", "transcriptions", "openai.transcriptions"),
        ("POST", "/v1/moderations", "moderations", "openai.moderations"),
        ("POST", "/v2/rerank", "rerank", "cohere.rerank"),
        ("POST", "/v1/messages", "chat", "anthropic.messages"),
        ("POST", "/v1/messages/count_tokens", "count_tokens", "anthropic.count_tokens"),
    ],
)
def test_what_is_asked(method, path, operation, wire):
    found = endpoint(method, path)
    assert (found.operation, found.wire, found.dialect) == (
        operation,
        wire,
        wire.split(".")[0].replace("cohere", "openai"),
    )


@pytest.mark.parametrize(
    ("method", "path", "resource", "item"),
    [
        ("GET", "/v1/models", "models", ""),
        ("GET", "/v1/models/meta/llama", "models", "meta/llama"),
        ("GET", "/v1/responses/resp_1", "responses", "resp_1"),
        ("DELETE", "/v1/responses/resp_1", "responses", "resp_1"),
        ("POST", "/v1/responses/resp_1/cancel", "responses", "resp_1"),
        ("GET", "/v1/responses/resp_1/input_items", "responses", "resp_1"),
        ("POST", "/v1/files", "files", ""),
        ("GET", "/v1/files/f-1/content", "files", "f-1"),
        ("POST", "/v1/batches/b/cancel", "batches", "b"),
        ("POST", "/v1/fine_tuning/jobs", "fine_tuning", "jobs"),
    ],
)
def test_what_is_handed_on_as_it_is(method, path, resource, item):
    found = endpoint(method, path)
    assert (found.operation, found.resource, found.item, found.path) == ("raw", resource, item, path)


def test_azures_addresses_name_the_model():
    found = endpoint("POST", "/openai/deployments/my%20gpt/chat/completions")
    assert (found.model, found.wire, found.path) == ("my gpt", "openai.chat", "/v1/chat/completions")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/chat/completions", "method_not_allowed"),
        ("PUT", "/v1/files", "method_not_allowed"),
        ("POST", "/v1/nothing", "unknown_endpoint"),
        ("POST", "/", "unknown_endpoint"),
        ("POST", "/openai/deployments/m/messages", "unknown_endpoint"),
        ("GET", "/v1/fine_tuning/../files", "unknown_endpoint"),
        ("GET", "/openai/deployments/m/embeddings", "method_not_allowed"),
    ],
)
def test_what_is_not_served_is_refused(method, path, code):
    with pytest.raises(Refusal) as caught:
        endpoint(method, path)
    assert caught.value.code == code


def test_errors_are_told_in_the_manner_of_the_address():
    assert dialect_of("/v1/messages/unknown") == "anthropic"
    assert dialect_of("/v1/unknown") == "openai"
