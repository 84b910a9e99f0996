"""Settings, environment and strict conversion."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pilothouse.core import plugins
from pilothouse.core.environment import Environment, environment_names
from pilothouse.core.errors import ConfigError, NotFound
from pilothouse.core.settings import Settings
from pilothouse.core.storage.settings import StorageSettings
from pilothouse.core.structs import convert
from pilothouse.core.yaml import parse_yaml


def settings(root: Path, text: str, environment: dict[str, str] | None = None) -> Settings:
    (root / "pilothouse.yaml").write_text(text)
    return Settings.load(root, Environment(environment or {}))


def test_defaults_stand_where_nothing_is_said(tmp_path: Path) -> None:
    assert Settings.load(tmp_path, Environment({})).section(StorageSettings) == StorageSettings()


def test_the_environment_stands_above_the_file(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path, "storage: {database: 'sqlite:///a.db'}\n", {"PILOTHOUSE_STORAGE__DATABASE": "sqlite:///b.db"}
    )
    assert loaded.section(StorageSettings).database == "sqlite:///b.db"


def test_an_unknown_key_is_refused_with_the_nearest_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, "storage:\n  databse: x\n")
    assert caught.value.where == f"{tmp_path / 'pilothouse.yaml'}:2"
    assert "did you mean 'database'?" in str(caught.value)


def test_an_unknown_section_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown section 'storrage'") as caught:
        settings(tmp_path, "storrage: {}\n")
    assert "did you mean 'storage'?" in str(caught.value)


def test_a_wrong_type_is_refused_with_its_line_and_an_override_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Expected `str") as caught:
        settings(tmp_path, "storage:\n  database: [1]\n")
    assert str(caught.value).startswith(f"{tmp_path / 'pilothouse.yaml'}:2")
    with pytest.raises(ConfigError, match="PILOTHOUSE_STORAGE__DATABASE"):
        settings(tmp_path, "", {"PILOTHOUSE_STORAGE__DATABASE": "17"})


@pytest.mark.parametrize("text", ["[1, 2]\n", "storage: 5\n", "just words\n"])
def test_a_file_that_holds_no_sections_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        settings(tmp_path, text)


def test_dotenv_lies_under_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("# words\nexport ONE=1\nTWO='a # b'\nTHREE=x # said\nFOUR=\n")
    monkeypatch.setenv("ONE", "over")
    environment = Environment.load(tmp_path)
    assert [environment[name] for name in ("ONE", "TWO", "THREE", "FOUR")] == ["over", "a # b", "x", ""]


def test_a_bad_line_of_dotenv_is_named_without_its_content(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OK=1\nsk-secret-value\n")
    with pytest.raises(ConfigError) as caught:
        Environment.load(tmp_path)
    assert caught.value.where == f"{tmp_path / '.env'}:2"
    assert "sk-secret" not in str(caught.value)


def test_expand_names_the_variable_that_is_missing() -> None:
    environment = Environment({"KEY": "v"})
    assert environment.expand("a ${env:KEY} b") == "a v b"
    assert environment_names("${env:A}/${env:B}") == ("A", "B")
    with pytest.raises(ConfigError, match="OTHER is not set"):
        environment.expand("${env:OTHER}")


def test_the_environment_never_shows_its_values() -> None:
    assert "secret" not in repr(Environment({"KEY": "secret"}))


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    count: int
    ratio: float = 0.5


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    items: list[Inner] = []
    named: dict[str, Inner] = {}
    maybe: Inner | None = None


def test_convert_points_at_the_entry() -> None:
    document = parse_yaml("items:\n  - count: 1\n  - count: x\n", Path("a.yaml"))
    with pytest.raises(ConfigError, match=r"items\.1\.count") as caught:
        convert(document.data, Outer, where=document.where)
    assert caught.value.where == "a.yaml:3"


@pytest.mark.parametrize(
    "text", ["items: [{count: 1, ratoi: 2}]", "maybe: {count: 1, ratoi: 2}", "named: {a: {count: 1, ratoi: 1}}"]
)
def test_convert_knows_the_nearest_key_at_any_depth(text: str) -> None:
    with pytest.raises(ConfigError, match="did you mean 'ratio'"):
        convert(parse_yaml(text, Path("a.yaml")).data, Outer)


def test_convert_coerces_nothing() -> None:
    with pytest.raises(ConfigError):
        convert({"count": "1"}, Inner)
    assert convert({"count": 1, "ratio": 2}, Inner) == Inner(count=1, ratio=2.0)


def test_a_plugin_nobody_offers_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'storage'"):
        plugins.load("settings", "storge")
