"""Connections, and a configuration service on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pilothouse.access.types import Actor
from pilothouse.core.clock import FixedClock
from pilothouse.core.environment import Environment
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.core.storage.sql import Database
from pilothouse.gateway.config.compilation import check_settings
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.models.connections import ConnectionFolder, ConnectionSpec
from pilothouse.registry.service import RegistryService
from pilothouse.registry.store import RegistryStore

SPLIT = {
    "routes": {
        "chat": {
            "deployments": [
                {"connection": "east", "model": "gpt-4o", "weight": 9},
                {"connection": "west", "model": "gpt-4o", "weight": 1},
            ],
            "aliases": ["default"],
            "experiment": {"name": "wording", "arms": {"old": 9, "new": 1}},
        },
        "gpt-4.1": {"deployments": [{"connection": "east"}], "fallback": ["chat"]},
    }
}


class Provider:
    dialect = "openai"
    slots = None

    def __init__(self, name: str) -> None:
        self.name = name


def make(document: dict) -> GatewaySettings:
    return msgspec.convert(document, GatewaySettings)


@pytest.fixture
def folder(tmp_path: Path) -> ConnectionFolder:
    path = tmp_path / "connections"
    path.mkdir()
    for name in ("east", "west"):
        text = f"name: {name}\ntype: open_ai\napi_key: ${{env:KEY}}\nbase_url: https://{name}.example/v1\n"
        (path / f"{name}.yaml").write_text(text)
    (path / "search.yaml").write_text("name: search\ntype: serp\napi_key: ${env:KEY}\n")
    return ConnectionFolder(path, Environment({"KEY": "k"}))


@pytest.fixture
def specs(folder: ConnectionFolder) -> list[ConnectionSpec]:
    return folder.all()


@pytest.fixture
def service_of(
    database: Database, tmp_path: Path, clock: FixedClock, folder: ConnectionFolder
) -> Callable[..., ConfigService]:
    """Make the service of a process whose file says something."""

    def build(document: dict, actor: str = "ada") -> ConfigService:
        return ConfigService(
            RegistryService(RegistryStore(database), clock, Actor(name=actor)),
            BlobStore(tmp_path / "blobs"),
            make(document),
            connections=folder.all,
            check=lambda wanted, _active: check_settings(wanted, folder.all(), folder.resolve) and None,
        )

    return build


@pytest.fixture
def service(service_of: Callable[..., ConfigService]) -> ConfigService:
    made = service_of(SPLIT)
    made.start()
    return made
