"""`prompty`: writes a .prompty file; `Models` answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from pilothouse.core.environment import Environment
from pilothouse.models.types import Connection

from ..building import FakeClient, FakeModels, Reply, echo, write

Prompty = Callable[..., Path]
NAMED = "model:\n  configuration: {connection: fake, model: tiny}"


class Models(FakeModels):
    """Fake models that also open connections which stand in no file."""

    def __init__(self, reply: Reply = echo, environment: Mapping[str, str] | None = None) -> None:
        super().__init__(reply)
        self.environment = Environment(environment or {})
        self.opened: list[Connection] = []

    def open(self, connection: Connection) -> FakeClient:
        self.opened.append(connection)
        return self.fake


@pytest.fixture
def prompty(tmp_path: Path) -> Prompty:
    def make(front: str = NAMED, body: str = "user:\n{{text}}\n", **files: str) -> Path:
        head = dedent(front).strip("\n")
        write(tmp_path, {name.replace("__", "."): text for name, text in files.items()})
        path = tmp_path / "ask.prompty"
        path.write_text(f"---\n{head}\n---\n{dedent(body)}", encoding="utf-8")
        return path

    return make
