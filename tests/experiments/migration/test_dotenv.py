"""Secrets that a person types go to `.env`, for the owner alone, out of git's sight; nobody shows them."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.environment import Environment
from pilothouse.core.errors import UserError
from pilothouse.experiments.migration.commands import migrate
from pilothouse.experiments.migration.dotenv import keep_secrets
from pilothouse.workspace import Workspace

HOSTILE = "a'b\"c # d $HOME ${env:X} \\ =="


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_read_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OLD=1")
    keep_secrets(tmp_path, {"KEY": HOSTILE, "OTHER": "'quoted'"})
    read = Environment.load(tmp_path)
    assert (read["OLD"], read["KEY"], read["OTHER"]) == ("1", HOSTILE, "'quoted'")


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    assert keep_secrets(tmp_path, {"KEY": "x"}) == ()
    assert permissions(tmp_path / ".env") == 0o600
    (tmp_path / ".env").chmod(0o644)
    assert "owner alone" in keep_secrets(tmp_path, {"KEY2": "y"})[0]
    assert permissions(tmp_path / ".env") == 0o600


@pytest.mark.parametrize("ignored", ["", "*.pyc", "*.pyc\n# .env"])
def test_git_is_told_to_leave_it_out(tmp_path: Path, ignored: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(ignored)
    keep_secrets(tmp_path, {"KEY": "x"})
    assert (tmp_path / ".gitignore").read_text().splitlines() == [*ignored.splitlines(), ".env"]


@pytest.mark.parametrize("line", [".env", "/.env", ".env*", "*.env", "**/.env"])
def test_git_that_leaves_it_out_already_is_not_told_again(tmp_path: Path, line: str) -> None:
    project = tmp_path / "inner"
    project.mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(line + "\n")
    assert keep_secrets(project, {"KEY": "x"}) == ()
    assert not (project / ".gitignore").exists()


def test_without_git_nothing_is_added(tmp_path: Path) -> None:
    keep_secrets(tmp_path, {"KEY": "x"})
    assert not (tmp_path / ".gitignore").exists()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("")
    (tmp_path / ".env").symlink_to(tmp_path / "shared")
    keep_secrets(tmp_path, {"KEY": "x"})
    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "shared").read_text() == "KEY='x'\n"


@pytest.mark.parametrize("value", ["two\nlines", "a\rb", "\x00"])
def test_a_secret_that_no_line_holds_is_refused_and_nothing_is_written(tmp_path: Path, value: str) -> None:
    with pytest.raises(UserError) as caught:
        keep_secrets(tmp_path, {"FINE": "x", "KEY": value})
    assert value not in str(caught.value)
    assert not (tmp_path / ".env").exists()


def asked(tmp_path: Path, *words: str, typed: str, **variables: str) -> Result:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    with sqlite3.connect(home / "pf.sqlite") as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS connection (connectionName, connectionType, configs, customConfigs)"
        )
        database.execute("DELETE FROM connection")
        for name in ("one", "two"):
            database.execute(
                "INSERT INTO connection VALUES (?, 'Serp', '{\"api_key\": \"gAAAA-hidden\"}', '{}')", [name]
            )
    database.close()
    environment = Environment({"PF_HOME_DIRECTORY": str(home), **variables})
    with Workspace(tmp_path, environment=environment) as workspace:
        return CliRunner().invoke(migrate, ["connections", *words], obj=workspace, input=typed)


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_secrets_that_are_not_set_are_asked_for(tmp_path: Path) -> None:
    result = asked(tmp_path, "--ask", typed="typed-secret\n", ONE_API_KEY="known")
    assert result.exit_code == 0, result.output
    assert (tmp_path / ".env").read_text() == "TWO_API_KEY='typed-secret'\n"
    assert "typed-secret" not in result.output
    assert "kept in .env: TWO_API_KEY" in result.stdout
    assert "ONE_API_KEY" in result.stdout


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_an_empty_answer_leaves_one_out(tmp_path: Path) -> None:
    result = asked(tmp_path, "--ask", typed="\n  second \n")
    assert (tmp_path / ".env").read_text() == "TWO_API_KEY='second'\n"
    assert "ONE_API_KEY" in result.stdout


def test_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    result = asked(tmp_path, typed="never read\n")
    assert result.exit_code == 0
    assert "ONE_API_KEY" in result.stdout
    assert not (tmp_path / ".env").exists()
