"""Where a prompty's model comes from: a named connection, the file itself, or the environment."""

from __future__ import annotations

import pytest

from pilothouse.core.errors import ConnectionFault, FlowError, NotFound
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.types import Connection

from ..building import run
from .conftest import NAMED, Models, Prompty

AZURE = """
    model:
      configuration:
        type: azure_openai
        azure_deployment: gpt
        azure_endpoint: ${env:MY_ENDPOINT}
        api_key: ${env:MY_KEY}
        api_version: v9
"""
BARE = "model:\n  configuration: {type: %s, %s: gpt}"


def opened(path: object, **environment: str) -> Connection:
    models = Models(environment=environment)
    line = run(path, models=models)  # type: ignore[arg-type]
    assert line.status == "completed", line.error
    (connection,) = models.opened
    return connection


def test_a_configuration_in_the_file_becomes_a_connection(prompty: Prompty) -> None:
    connection = opened(prompty(AZURE, "user:\nhi"), MY_ENDPOINT="https://a", MY_KEY="secret-key")
    assert connection.type == "azure_open_ai"
    assert (connection.get("api_base"), connection.get("api_key"), connection.get("api_version")) == ("https://a", "secret-key", "v9")  # fmt: skip
    assert "secret-key" not in repr(connection)


def test_the_model_is_the_deployment(prompty: Prompty) -> None:
    models = Models(environment={"MY_ENDPOINT": "https://a", "MY_KEY": "k"})
    run(prompty(AZURE, "user:\nhi"), models=models)
    assert models.fake.requests[0].model == "gpt"


def test_a_variable_that_is_not_set_is_named_and_its_reference_never_sent(prompty: Prompty) -> None:
    with pytest.raises(ConnectionFault, match="no 'api_key': the environment variable MY_KEY is not set"):
        run(prompty(AZURE, "user:\nhi"), models=Models(environment={"MY_ENDPOINT": "https://a"}))


def test_absent_credentials_are_read_from_the_environment(prompty: Prompty) -> None:
    azure = opened(
        prompty(BARE % ("azure_openai", "azure_deployment"), "user:\nhi"),
        AZURE_OPENAI_ENDPOINT="https://a",
        AZURE_OPENAI_API_KEY="k1",
        OPENAI_API_VERSION="v2",
    )
    assert [azure.get(key) for key in ("api_base", "api_key", "api_version")] == ["https://a", "k1", "v2"]
    openai = opened(
        prompty(BARE % ("openai", "model"), "user:\nhi"),
        OPENAI_API_KEY="k2",
        OPENAI_ORG_ID="org",
        OPENAI_BASE_URL="https://o",
    )
    assert [openai.get(key) for key in ("api_key", "organization", "base_url")] == ["k2", "org", "https://o"]


def test_the_variable_to_set_is_named(prompty: Prompty) -> None:
    with pytest.raises(ConnectionFault, match=r"no 'api_base'(.|\n)*AZURE_OPENAI_ENDPOINT"):
        run(prompty(BARE % ("azure_openai", "azure_deployment"), "user:\nhi"), models=Models())
    with pytest.raises(ConnectionFault, match=r"no 'api_key'(.|\n)*OPENAI_API_KEY"):
        run(prompty(BARE % ("openai", "model"), "user:\nhi"), models=Models())


def test_the_environments_key_is_not_sent_to_a_server_that_the_file_names(prompty: Prompty) -> None:
    front = "model:\n  configuration: {type: openai, model: m, base_url: 'http://mine'}"
    connection = opened(prompty(front, "user:\nhi"), OPENAI_API_KEY="theirs")
    assert (connection.get("base_url"), connection.get("api_key")) == ("http://mine", "")


def test_a_named_connection_is_looked_up(prompty: Prompty) -> None:
    assert run(prompty(NAMED, "user:\nhi"), models=Models()).status == "completed"
    with pytest.raises(ConnectionFault, match="no connection 'gone'"):
        run(prompty(NAMED.replace("fake", "gone"), "user:\nhi"), models=Models())


def test_a_model_that_is_not_there_is_told_before_the_first_line(prompty: Prompty) -> None:
    models = Models()
    models.missing.add("tiny")
    with pytest.raises(NotFound, match="not pulled"):
        run(prompty(NAMED, "user:\nhi"), models=models)


def test_without_a_model_the_projects_connection_serves(prompty: Prompty) -> None:
    path = prompty("name: x", "user:\nhi")
    with pytest.raises(FlowError, match="names no model"):
        run(path, models=Models())
    assert run(path, models=Models(), settings=FlowSettings(default_connection="fake")).outputs == {"output": "hi"}


def test_a_prompty_without_models_says_so(prompty: Prompty) -> None:
    with pytest.raises(FlowError, match="no models are at hand"):
        run(prompty(NAMED, "user:\nhi"))


# Prompty 2

V2 = """
    name: second
    model:
      id: gpt-5
      provider: %s
      apiType: chat
      connection: {kind: key, endpoint: https://e, apiKey: '${env:MY_KEY}'}
      options: {temperature: 0.25, maxOutputTokens: 9, topP: 0.5, stopSequences: [x], additionalProperties: {top_k: 3}}
    inputs:
      - {name: text, kind: string, default: hi}
    template: {format: {kind: jinja2}, parser: {kind: prompty}}
"""


@pytest.mark.parametrize(
    ("provider", "kind", "address"),
    [
        ("openai", "open_ai", "base_url"),
        ("azure", "azure_open_ai", "api_base"),
        ("serverless", "serverless", "api_base"),
    ],
)
def test_v2_model_connection_and_options(prompty: Prompty, provider: str, kind: str, address: str) -> None:
    models = Models(environment={"MY_KEY": "k"})
    line = run(prompty(V2 % provider), models=models)
    (connection,) = models.opened
    assert (line.outputs, connection.type, connection.get(address)) == ({"output": "hi"}, kind, "https://e")
    request = models.fake.requests[0]
    assert (request.model, request.temperature, request.max_tokens, request.top_p) == ("gpt-5", 0.25, 9, 0.5)
    assert (request.stop, request.extra) == (("x",), {"top_k": 3})


@pytest.mark.parametrize(
    "model",
    [
        "{id: m, connection: {kind: reference, name: fake}}",
        "{id: m, connection: fake}",
        "{id: m, options: {}, connection: fake}",
    ],
)
def test_v2_refers_to_a_connection_by_name(prompty: Prompty, model: str) -> None:
    models = Models()
    assert run(prompty(f"model: {model}", "user:\nhi"), models=models).status == "completed"
    assert (models.opened, models.fake.requests[0].model) == ([], "m")


def test_v2_model_may_be_its_name_alone(prompty: Prompty) -> None:
    models = Models()
    settings = FlowSettings(default_connection="fake")
    front = "model: m\ninputSchema:\n  properties:\n    text: {kind: string, sample: yes}"
    assert run(prompty(front), models=models, settings=settings).outputs == {"output": "yes"}
    assert models.fake.requests[0].model == "m"


def test_the_models_name_may_come_from_the_environment(prompty: Prompty) -> None:
    path = prompty(NAMED.replace("tiny", "'${env:MY_MODEL}'"), "user:\nhi")
    models = Models(environment={"MY_MODEL": "large"})
    run(path, models=models)
    assert models.fake.requests[0].model == "large"
    with pytest.raises(ConnectionFault, match="no 'model': the environment variable MY_MODEL is not set"):
        run(path, models=Models())


def test_a_token_stands_in_for_the_key(prompty: Prompty) -> None:
    front = (
        "model:\n  configuration:\n    type: azure_openai\n    azure_endpoint: https://a\n    auth_mode: meid_token\n"
    )
    connection = opened(prompty(front + "    token: ${env:T}", "user:\nhi"), T="t")
    assert connection.get("token") == "t"
    with pytest.raises(ConnectionFault, match="no 'token'"):
        run(prompty(front, "user:\nhi"), models=Models())
