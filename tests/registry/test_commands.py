"""`pilothouse registry ...` as people and programs see it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pilothouse.core.errors import NotFound, UserError
from pilothouse.registry.commands import registry as group
from pilothouse.registry.service import RegistryService


@pytest.fixture
def run(services, digest_of):
    """Run a command over a registry with two versions of a dataset and a flow made from the second."""
    service = services.get(RegistryService)
    service.register("dataset", "sms", digest_of("a"))
    service.register(
        "dataset", "sms", digest_of("b"), metadata={"rows": 60, "licence": "CC BY 4.0", "evil": "\x1b[31m[red]"}
    )
    service.register("flow", "classify", digest_of("f"))
    service.link("dataset/sms", "flow/classify", "input")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(group, arguments, obj=services, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_list_for_people_and_programs(run) -> None:
    output = run("list")
    assert "dataset/sms:2" in output
    assert "flow/classify:1" in output
    assert "dataset/sms:1" not in output
    assert [version["ref"] for version in json.loads(run("list", "--json"))] == ["dataset/sms:2", "flow/classify:1"]
    assert [version["ref"] for version in json.loads(run("list", "flow", "--json"))] == ["flow/classify:1"]


def test_list_all_versions_of_one_name(run) -> None:
    assert [version["number"] for version in json.loads(run("list", "dataset/sms", "--json"))] == [1, 2]
    assert "dataset/sms:1" in run("list", "dataset/sms")


def test_list_of_nothing_says_what_comes_here(services) -> None:
    result = CliRunner().invoke(group, ["list"], obj=services)
    assert "Nothing is registered yet" in result.output
    assert json.loads(CliRunner().invoke(group, ["list", "--json"], obj=services).output) == []


def test_show_has_digest_aliases_and_metadata_that_cannot_paint_the_terminal(run, digest_of) -> None:
    run("alias", "dataset/sms", "champion")
    output = run("show", "dataset/sms@champion")
    for words in ("dataset/sms:2", digest_of("b"), "tester", "champion", "CC BY 4.0", "60", "[red]"):
        assert words in output
    assert "\x1b" not in output
    data = json.loads(run("show", "dataset/sms", "--json"))
    assert (data["aliases"], data["metadata"]["rows"], data["digest"]) == (["champion"], 60, digest_of("b"))


def test_alias_is_set_listed_moved_back_and_removed(run) -> None:
    assert "points at version 1" in run("alias", "dataset/sms:1", "champion")
    assert "points at version 2 (before: 1)" in run("alias", "dataset/sms", "champion")
    assert "already" in run("alias", "dataset/sms", "champion")
    assert json.loads(run("alias", "dataset/sms", "champion", "--json")) is None
    assert "points at version 1 (before: 2)" in run("alias", "dataset/sms", "champion", "--back")
    assert json.loads(run("alias", "dataset/sms", "--json")) == {"champion": 1}
    assert "champion" in run("alias", "dataset/sms")
    assert "was removed (before: 1)" in run("alias", "dataset/sms", "champion", "--remove")
    assert "No alias" in run("alias", "dataset/sms")
    history = json.loads(run("alias", "dataset/sms", "--history", "--json"))
    assert [(change["previous"], change["number"]) for change in history] == [(None, 1), (1, 2), (2, 1), (1, None)]
    assert run("alias", "dataset/sms", "champion", "--history").count("tester") == 4
    assert json.loads(run("alias", "dataset/sms", "other", "--history", "--json")) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alias", "dataset/sms", "--remove"), "which alias"),
        (("alias", "dataset/sms", "champion", "--remove", "--back"), "only one of"),
        (("show", "dataset"), "is not a reference"),
        (("show", "dataset/smss"), "did you mean 'dataset/sms'"),
        (("alias", "dataset/smss"), "did you mean 'dataset/sms'"),
        (("list", "datset"), "did you mean 'dataset'"),
        (("lineage", "flow/clasify"), "did you mean 'flow/classify'"),
    ],
)
def test_mistakes_are_answered(run, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert words in str(caught.value)


def test_lineage_is_a_tree_for_people_and_edges_for_programs(run, services, digest_of) -> None:
    service = services.get(RegistryService)
    service.register("run", "r", digest_of("r"))
    service.link("flow/classify", "run/r", "produced")
    service.link("run/r", "dataset/sms", "input")  # a circle
    lines = run("lineage", "dataset/sms", "--down").splitlines()
    assert [line.strip(" └├─│") for line in lines] == [
        "dataset/sms:2 led to",
        "flow/classify:1  (input)",
        "run/r:1  (produced)",
        "dataset/sms:2  (input, see above)",
    ]
    both = run("lineage", "flow/classify")
    assert "flow/classify:1 made from" in both
    assert "flow/classify:1 led to" in both
    data = json.loads(run("lineage", "flow/classify", "--up", "--depth", "1", "--json"))
    assert data["ref"] == "flow/classify:1"
    assert [edge["source"] for edge in data["edges"]] == ["dataset/sms:2"]


def test_lineage_of_something_alone(run, services, digest_of) -> None:
    services.get(RegistryService).register("flow", "alone", digest_of("x"))
    assert "flow/alone:1 made from nothing" in run("lineage", "flow/alone")


def test_a_long_line_of_descent_is_drawn_whole(run, services, digest_of) -> None:
    service = services.get(RegistryService)
    for number in range(150):
        service.register("step", f"s{number}", digest_of("s"))
        if number:
            service.link(f"step/s{number - 1}", f"step/s{number}", "input")
    lines = run("lineage", "step/s0", "--down").splitlines()
    assert len(lines) == 150
    assert lines[-1].endswith("step/s149:1  (input)")
    with pytest.raises(NotFound):
        run("lineage", "step/s150")
