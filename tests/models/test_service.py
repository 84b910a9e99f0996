from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from pilothouse.core import plugins
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, ConnectionFault, ModelError, UserError
from pilothouse.core.structs import convert
from pilothouse.models.client import ProviderContext
from pilothouse.models.connection_types import TYPES
from pilothouse.models.connections import ConnectionFolder
from pilothouse.models.providers import scripted
from pilothouse.models.providers.scripted import ScriptedModel
from pilothouse.models.service import ModelService
from pilothouse.models.settings import Concurrency, ModelSettings, Price, Retries
from pilothouse.models.types import ChatRequest, Connection, Usage

Make = Callable[..., ModelService]


@pytest.fixture
def make(tmp_path: Path, context: Callable[..., ProviderContext]) -> Make:
    def service(settings: ModelSettings | None = None, build: Any = scripted.build, **environment: str) -> ModelService:
        return ModelService(
            files=ConnectionFolder(tmp_path / "connections", Environment(environment)),
            context=context(settings),
            tracer=NoOpTracer(),
            capture=True,
            providers=lambda kind: build,
        )

    return service


def test_a_name_becomes_one_client_for_all(make: Make, question: ChatRequest) -> None:
    service = make()
    client = service.client("scripted")
    assert service.client("scripted") is client
    assert client.provider == "scripted"
    assert asyncio.run(client.chat(question)).text == "Is it raining?"


def test_a_client_is_fully_wrapped(make: Make, question: ChatRequest) -> None:
    peak = flying = 0

    class Fragile(ScriptedModel):
        async def chat(self, request: ChatRequest) -> Any:
            nonlocal peak, flying
            flying += 1
            peak = max(peak, flying)
            try:
                await asyncio.sleep(0)
                return await super().chat(request)
            finally:
                flying -= 1

    failures = [ModelError("no", status=503, retryable=True)]

    def reply(request: ChatRequest) -> Any:
        return failures.pop() if failures else "fine"

    settings = ModelSettings(retries=Retries(base=0.0), concurrency=Concurrency(ceiling=3))
    service = make(settings, build=lambda connection, context: Fragile(reply=reply))

    async def many() -> list[str]:
        client = service.client("scripted")
        return [response.text for response in await asyncio.gather(*(client.chat(question) for _ in range(20)))]

    assert asyncio.run(many()) == ["fine"] * 20
    assert peak <= 3


def test_the_limit_is_that_of_the_provider_where_it_is_lower(make: Make, question: ChatRequest) -> None:
    class Narrow(ScriptedModel):
        concurrency = 2  # type: ignore[assignment]

    service = make(build=lambda connection, context: Narrow())
    limited = service.client("scripted")._inner._inner  # type: ignore[attr-defined]
    assert limited._limiter.limit == 2


def test_a_connection_without_models_cannot_be_called(make: Make, tmp_path: Path) -> None:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "search.yaml").write_text("name: search\ntype: serp\napi_key: ${env:K}\n")
    service = make(K="kkkkkk")
    assert service.connection("search").get("api_key") == "kkkkkk"
    with pytest.raises(ConnectionFault, match="no models behind it") as caught:
        service.client("search")
    assert "open_ai" in str(caught.value)


def test_connections_are_listed_without_being_resolved(make: Make, tmp_path: Path) -> None:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "gpt.yaml").write_text("name: gpt\ntype: open_ai\napi_key: ${env:UNSET}\n")
    assert [spec.name for spec in make().connections()] == ["gpt", "local", "scripted"]


def test_another_script_is_another_identity(make: Make, tmp_path: Path) -> None:
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "told.yaml").write_text("name: told\ntype: scripted\nscript: s.yaml\n")
    (tmp_path / "s.yaml").write_text("- reply: a\n")
    service = make()
    before = service.connection("told").identity()
    assert before == service.connection("told").identity()
    (tmp_path / "s.yaml").write_text("- reply: b\n")
    assert service.connection("told").identity() != before


def test_prices_come_from_the_settings_and_the_catalogue(make: Make) -> None:
    service = make(ModelSettings(prices=(Price(model="mine", input=2.0, output=4.0),)))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    assert service.price("local", "mine", usage, at) == 6
    assert service.price("local", "other", usage, at) is None
    assert service.price("openai", "gpt-4o-mini", usage, at) is not None


@pytest.mark.parametrize("way", ["close", "aclose"])
def test_closing_closes_every_provider_once(make: Make, way: str) -> None:
    closed: list[str] = []

    class Closing(ScriptedModel):
        async def aclose(self) -> None:
            closed.append("aclose")

        def close(self) -> None:
            closed.append("close")

    service = make(build=lambda connection, context: Closing())
    first = service.client("scripted")
    service.open(Connection(name="by hand", type="scripted"))
    for _ in range(2):
        if way == "close":
            service.close()
        else:
            asyncio.run(service.aclose())
    assert closed == [way, way]
    assert service.client("scripted") is not first


def test_it_is_built_from_the_services_of_a_project(services: Any) -> None:
    service = services.get(ModelService)
    assert [spec.name for spec in service.connections()] == ["local", "scripted"]
    assert service.context.root == services.root
    assert service.context.cache.name == "models"


def test_every_type_with_models_has_its_plug_in() -> None:
    assert plugins.names("providers") == sorted(kind.name for kind in TYPES.values() if kind.serves_models)
    assert plugins.load("providers", "scripted") is scripted.build


def test_looking_ahead_raises_what_every_call_would(make: Make, tmp_path: Path) -> None:
    from pilothouse.models.providers import local, openai

    builders = {"local": local.build, "open_ai": openai.build}
    service = make(
        build=lambda connection, context: builders[connection.type](connection, context), GPT_API_KEY="k" * 9
    )
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "gpt.yaml").write_text("name: gpt\ntype: open_ai\n")
    with pytest.raises(UserError, match="is not pulled"):
        service.check("local", "")
    with pytest.raises(ConnectionFault, match="names no model"):
        service.check("gpt", "")
    with pytest.raises(ConnectionFault, match="no connection"):
        service.check("none", "m")
    service.check("gpt", "gpt-4o-mini")


def test_settings_out_of_range_are_refused() -> None:
    for values in (
        {"concurrency": {"ceiling": 0}},
        {"retries": {"attempts": 0}},
        {"timeouts": {"idle": 0}},
        {"local": {"parallel": 0}},
        {"prices": [{"model": "m", "input": -1, "output": 0}]},
        {"cnoncurrency": {}},
    ):
        with pytest.raises(ConfigError):
            convert(values, ModelSettings)
    prices = [{"model": "m", "input": 1, "output": 2.5, "since": "2026-01-01"}]
    assert convert({"prices": prices}, ModelSettings).prices[0].since == date(2026, 1, 1)
