"""Connections come over without their secrets, from the database, from YAML, from the template's experiment."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.errors import DataError, NotFound
from pilothouse.experiments.migration.connections import read_drafts, write_drafts
from pilothouse.models.connections import ConnectionFolder

from .projects import template_project, write

SECRET = "gAAAAAB-not-to-be-seen"


def plain(value: str) -> dict[str, str]:
    return {"configValueType": "String", "value": value}


def hidden(value: str) -> dict[str, str]:
    return {"configValueType": "Secret", "value": value}


ROWS = (
    (
        "aoai",
        "AzureOpenAI",
        {
            "api_base": "https://example.net",
            "api_type": "azure",
            "api_version": "2024-02-01",
            "resource_id": None,
            "api_key": SECRET,
        },
        {},
    ),
    ("entra", "AzureOpenAI", {"api_base": "https://example.net", "auth_mode": "meid_token", "api_key": SECRET}, {}),
    ("gateway", "OpenAI", {"base_url": "http://127.0.0.1/v1", "organization": None, "api_key": SECRET}, {}),
    ("mine", "Custom", {}, {"url": plain("http://127.0.0.1"), "token": hidden(SECRET)}),
    (
        "strong",
        "Custom",
        {},
        {
            "promptflow.connection.custom_type": plain("MyConnection"),
            "promptflow.connection.module": plain("my.tools"),
            "key": hidden(SECRET),
        },
    ),
    ("two words", "Serp", {"api_key": SECRET}, {}),
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with the table that prompt flow 1.18 makes, and fields as it fills them."""
    path = tmp_path / "pf.sqlite"
    made = sqlite3.connect(path)
    made.execute(
        'CREATE TABLE connection ("connectionName" TEXT NOT NULL PRIMARY KEY, "connectionType" TEXT NOT NULL, '
        'configs TEXT NOT NULL, "customConfigs" TEXT NOT NULL, "createdDate" TEXT, "expiryTime" TEXT)'
    )
    for name, kind, configs, custom in ROWS:
        row = (name, kind, json.dumps(configs), json.dumps(custom), "2026-01-01")
        made.execute("INSERT INTO connection VALUES (?, ?, ?, ?, ?, NULL)", row)
    made.commit()
    made.close()
    return path


def test_no_secret_leaves_the_database(database: Path) -> None:
    assert SECRET.encode() in database.read_bytes()
    assert SECRET not in repr(read_drafts(database))


def test_every_connection_becomes_a_file_that_resolves_once_its_variables_are_set(
    database: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "connections"
    done = {item.name: item for item in write_drafts(read_drafts(database), folder)}
    assert done["aoai"].variables == ("AOAI_API_KEY",)
    assert done["entra"].variables == ("ENTRA_TOKEN",)
    assert done["gateway"].variables == ("GATEWAY_API_KEY",)
    assert done["mine"].variables == ("MINE_TOKEN",)
    assert done["two words"].path is None
    assert "cannot be a name" in done["two words"].reason
    variables = {name: "value" for item in done.values() for name in item.variables}
    place = ConnectionFolder(folder, Environment(variables))
    assert place.resolve("aoai").get("api_base") == "https://example.net"
    assert place.resolve("mine").get("url") == "http://127.0.0.1"
    assert place.resolve("strong").get("custom_type") == "MyConnection"
    for name in ("entra", "gateway"):
        place.resolve(name)
    assert SECRET not in "".join(path.read_text() for path in folder.iterdir())


def test_the_database_is_left_as_it_was(database: Path) -> None:
    before = (database.read_bytes(), database.stat().st_mtime_ns, sorted(database.parent.iterdir()))
    read_drafts(database)
    assert (database.read_bytes(), database.stat().st_mtime_ns, sorted(database.parent.iterdir())) == before


def test_a_file_that_exists_is_left_alone(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "connections"
    write(folder, {"aoai.yaml": "name: aoai\ntype: open_ai\napi_key: ${env:MINE}\n"})
    done = {item.name: item for item in write_drafts(read_drafts(database), folder)}
    assert (done["aoai"].exists, done["aoai"].path) == (True, None)
    assert "${env:MINE}" in (folder / "aoai.yaml").read_text()


def test_yaml_keeps_references_and_passes_over_what_stands_in_the_clear(tmp_path: Path) -> None:
    source = write(
        tmp_path / "old",
        {
            "a.yaml": "$schema: x\nname: a\ntype: open_ai\napi_key: ${env:OPENAI_API_KEY}\nmodule: promptflow.connections\n",
            "b.yml": "name: b\ntype: azure_open_ai\napi_key: in-the-clear\napi_base: https://example.net\n",
            "c.yaml": "name: c\ntype: custom\nconfigs: {flag: true}\nsecrets: {key: in-the-clear}\n",
            "d.yaml": "name: d\ntype: unheard_of\nsomething: in-the-clear\n",
        },
    )
    folder = tmp_path / "connections"
    done = {item.name: item for item in write_drafts(read_drafts(source), folder)}
    assert {name: item.variables for name, item in done.items()} == {
        "a": ("OPENAI_API_KEY",),
        "b": ("B_API_KEY",),
        "c": ("C_KEY",),
        "d": (),
    }
    assert done["a"].left_out == ("module",)
    assert "no connection type 'unheard_of'" in done["d"].reason
    assert "in-the-clear" not in "".join(path.read_text() for path in folder.iterdir()) + repr(done)
    assert "flag: 'true'" in (folder / "c.yaml").read_text()


def test_the_template_names_its_variables_after_the_connection(tmp_path: Path) -> None:
    template_project(tmp_path)
    done = write_drafts(read_drafts(tmp_path / "experiment.yaml"), tmp_path / "connections")
    assert [(item.name, item.type, item.variables) for item in done] == [("aoai", "azure_open_ai", ("AOAI_API_KEY",))]


def test_what_is_not_there_or_something_else_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_drafts(tmp_path / "pf.sqlite")
    with pytest.raises(NotFound):
        read_drafts(tmp_path)
    (tmp_path / "pf.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(DataError, match="not prompt flow's database"):
        read_drafts(tmp_path / "pf.sqlite")
