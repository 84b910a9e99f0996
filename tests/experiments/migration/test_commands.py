"""`pilothouse migrate` in the terminal: what is printed, how wide, and with which exit code it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.core.errors import NotFound
from pilothouse.experiments.migration.commands import migrate

from .projects import broken_flow, flex_and_prompty, good_flow, template_project


def call(*arguments: str | Path, services: Any = None, catch: bool = True) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(migrate, words, obj=services, catch_exceptions=catch)


def everything(folder: Path) -> Path:
    for make in (good_flow, template_project, flex_and_prompty, broken_flow):
        make(folder / make.__name__)
    return folder


def test_nothing_to_change_ends_with_0(tmp_path: Path) -> None:
    result = call("check", good_flow(tmp_path))
    assert result.exit_code == 0, result.output
    assert "4 runs as it is, 0 runs with a note, 0 needs a change, 0 not read" in result.stdout


def test_changes_end_with_1_in_80_columns(tmp_path: Path) -> None:
    result = call("check", everything(tmp_path), "--all")
    assert result.exit_code == 1
    assert max(map(len, result.stdout.splitlines())) <= 80
    for words in ("broken_flow", "Needs a change", "Notes", "Not read", "to mend: did you mean 'ask'?", "Every file"):
        assert words in result.stdout


def test_wrong_usage_ends_with_2(tmp_path: Path) -> None:
    assert call("check").exit_code == 2
    assert call("check", tmp_path, "--fix").exit_code == 2
    with pytest.raises(NotFound) as caught:
        call("check", tmp_path / "nowhere", catch=False)
    assert caught.value.exit_code == 2


def test_json_holds_every_file(tmp_path: Path) -> None:
    result = call("check", everything(tmp_path), "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert len(found["files"]) == sum(found["counts"].values())
    flow = next(file for file in found["files"] if file["path"] == "broken_flow/flow.dag.yaml")
    assert (flow["project"], flow["kind"], flow["verdict"]) == ("broken_flow", "dag flow", "change")
    assert flow["findings"][0]["line"] == 15


def test_strange_names_are_shown_as_they_are(tmp_path: Path) -> None:
    broken_flow(tmp_path / "[red]x[/red]")
    result = call("check", tmp_path)
    assert result.exit_code == 1
    assert "[red]x[/red]" in result.stdout


def test_connections_are_written_and_their_variables_printed(services: Any, tmp_path: Path) -> None:
    source = template_project(tmp_path / "ner") / "experiment.yaml"
    result = call("connections", "--from", source, services=services)
    assert result.exit_code == 0, result.output
    assert "AOAI_API_KEY" in result.stdout
    assert (services.root / "connections" / "aoai.yaml").is_file()
    again = call("connections", "--from", source, "--json", services=services)
    assert again.exit_code == 0
    assert json.loads(again.stdout)[0]["exists"] is True


def test_a_connection_that_cannot_be_written_ends_with_1(services: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("name: odd\ntype: unheard_of\n")
    result = call("connections", "--from", tmp_path / "odd.yaml", services=services)
    assert result.exit_code == 1
    assert "not written: there is no connection type" in result.stdout


def test_the_database_is_looked_for_where_prompt_flow_keeps_it(services: Any, tmp_path: Path) -> None:
    environment = type(services.environment)({"PF_HOME_DIRECTORY": str(tmp_path / "home")})
    services.settings = type(services.settings)(services.root, environment, {})
    with pytest.raises(NotFound) as caught:
        call("connections", services=services, catch=False)
    assert caught.value.where == str(tmp_path / "home" / "pf.sqlite")


def test_an_experiment_is_written_and_the_rest_is_listed(tmp_path: Path) -> None:
    template_project(tmp_path)
    result = call("experiment", tmp_path / "experiment.yaml", "--env", "pr")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "pilothouse.pr.yaml").read_text().startswith("# Written by `pilothouse migrate experiment`")
    assert "with experiment.pr.yaml" in (tmp_path / "pilothouse.pr.yaml").read_text()
    assert "runtime 'compute-1'" in result.stdout
    assert "then: pilothouse experiment plan" in result.stdout
    told = call("experiment", tmp_path / "experiment.yaml", "--to", tmp_path / "new" / "ours.yaml", "--json")
    files = json.loads(told.stdout)["files"]
    assert [Path(file).name for file in files] == ["ours-train.yaml", "ours-held_out.yaml"]
