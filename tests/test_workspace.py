"""The composition root: which project is opened, what stands behind it, and that it is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.core.storage.sql import Database
from pilothouse.workspace import Workspace, find_root


def opened(root: Path, settings: str = "{}\n", **variables: str) -> Workspace:
    (root / "pilothouse.yaml").write_text(settings)
    return Workspace(root, environment=Environment(variables))


def test_the_nearest_project_above_is_opened(tmp_path: Path) -> None:
    (tmp_path / "pilothouse.yaml").write_text("{}\n")
    (tmp_path / "flows" / "one").mkdir(parents=True)
    assert find_root(tmp_path / "flows" / "one") == tmp_path
    with Workspace.open(tmp_path / "flows" / "one") as workspace:
        assert (workspace.root, workspace.state.is_dir()) == (tmp_path, True)


def test_a_service_is_built_once_with_its_peers_and_closed_with_the_workspace(tmp_path: Path) -> None:
    closed: list[str] = []

    class Shop:
        def __init__(self, database: Database) -> None:
            self.database = database

        @classmethod
        def build(cls, services: Services) -> Shop:
            return cls(services.get(Database))

        def close(self) -> None:
            closed.append("shop")

    with opened(tmp_path) as workspace:
        shop = workspace.get(Shop)
        assert workspace.get(Shop) is shop
        assert shop.database is workspace.get(Database)
    assert closed == ["shop"]


def test_a_relative_database_is_of_the_project_not_of_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with opened(project, "storage: {database: 'sqlite:///${env:NAME}.db'}\n", NAME="shop") as workspace:
        workspace.get(Database)
    assert (project / "shop.db").is_file()
    assert list(elsewhere.iterdir()) == []


def test_an_absolute_database_and_a_missing_name(tmp_path: Path) -> None:
    place = tmp_path / "own.db"
    with opened(tmp_path, f"storage: {{database: 'sqlite:///{place}'}}\n") as workspace:
        workspace.get(Database)
    assert place.is_file()
    with (
        opened(tmp_path, "storage: {database: '${env:NOWHERE}'}\n") as workspace,
        pytest.raises(ConfigError, match="NOWHERE is not set"),
    ):
        workspace.get(Database)
