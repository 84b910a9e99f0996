"""From settings to routes, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.errors import ConfigError, ConnectionFault
from pilothouse.gateway.config.compilation import check_settings, compile_routes, place_in
from pilothouse.models.connections import ConnectionSpec

from .conftest import SPLIT, Provider, make

Specs = list[ConnectionSpec]


def test_names_and_aliases_lead_to_one_route(specs: Specs) -> None:
    table = compile_routes(make(SPLIT), Provider, specs)
    assert table.routes["default"] is table.routes["chat"]
    assert [item.id for item in table.routes["chat"].deployments] == ["east/gpt-4o", "west/gpt-4o"]
    assert table.routes["gpt-4.1"].deployments[0].model == "gpt-4.1"  # the route's name where none is given
    assert table.models() == ("chat", "default", "gpt-4.1")
    assert not table.open_routes


def test_one_provider_for_each_connection(specs: Specs) -> None:
    made: list[str] = []

    def provider(name: str) -> Provider:
        made.append(name)
        return Provider(name)

    compile_routes(make(SPLIT), provider, specs)
    assert sorted(made) == ["east", "west"]


def test_without_routes_every_connection_with_models_is_one(specs: Specs) -> None:
    def provider(name: str) -> Provider:
        if name == "west":
            raise ConnectionFault("no key")
        return Provider(name)

    table = compile_routes(make({}), provider, specs)
    assert set(table.routes) == {"local", "scripted"}  # one model stands behind these
    assert set(table.open_routes) == {"east", "local", "scripted"}
    assert table.open_routes["east"].deployments[0].model == ""
    assert table.skipped == {"west": "no key"}
    assert "east/*" in table.models()


def test_without_routes_a_limit_may_be_on_a_connection(specs: Specs) -> None:
    limited = make({"limits": [{"match": {"route": "local"}, "requests": 1}]})
    check_settings(limited, specs, Provider)
    assert "local" in compile_routes(limited, Provider, specs).routes


def deployment(**fields: object) -> dict:
    return {"connection": "east", "model": "m", **fields}


def route(*deployments: dict, **fields: object) -> dict:
    return {"routes": {"chat": {"deployments": list(deployments) or [deployment()], **fields}}}


def experiment(**fields: object) -> dict:
    return route(experiment={"name": "e", "arms": {"a": 1, "b": 1}, **fields})


MISTAKES = [
    (route({"connection": "eats"}), "no connection 'eats'", "did you mean 'east'?"),
    (route({"connection": "search"}), "no models behind it", None),
    (route(deployment(weight=0)), "only deployments of weight 0", None),
    ({"routes": {"chat": {"deployments": []}}}, "no deployment", None),
    ({"routes": {" ": {"deployments": [deployment()]}}}, "cannot be the name", None),
    (route(deployment(), deployment()), "two deployments called 'east/m'", None),
    (route(deployment(weight=float("inf"))), "not a weight", None),
    (route(deployment(wires=["openai.chta"])), "not a form", "did you mean 'openai.chat'?"),
    (route(deployment(when={"tenant": {"taem": "x"}})), "no 'taem'", "did you mean 'team'?"),
    (route(fallback=["cha"]), "'cha', which is no route", None),
    (route(fallback=["chat"]), "falls back to itself", None),
    (route(guards=["pii"]), "guard 'pii', which does not exist", None),
    (route(shadow={"deployment": "east/n"}), "none of its deployments", "did you mean 'east/m'?"),
    (route(semantic_cache={"connection": "wset"}), "no connection 'wset'", "did you mean 'west'?"),
    (experiment(arms={}), "no arm with a weight", None),
    (experiment(arms={"a": 0}), "no arm with a weight", None),
    (experiment(deployments={"c": ["east/m"]}), "no arm 'c'", None),
    (experiment(deployments={"a": ["east/x"]}), "uses 'east/x'", "did you mean 'east/m'?"),
    (experiment(deployments={"a": []}), "would all be refused", None),
    (experiment(bandit={"metric": "good", "floor": 0.6}), "floor of 0.6", "at most 0.5"),
    (experiment(name=" "), "needs a name", None),
    (
        {**route(), "limits": [{"match": {"route": "caht"}, "requests": 1}]},
        "would limit nothing",
        "did you mean 'chat'?",
    ),
]


@pytest.mark.parametrize(("document", "message", "expected"), MISTAKES)
def test_a_mistake_is_told(specs: Specs, document: dict, message: str, expected: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_routes(make(document), Provider, specs)
    assert message in str(caught.value)
    assert caught.value.where.startswith("gateway.")
    assert expected is None or caught.value.expected == expected


def two(first: dict, second: dict) -> dict:
    base = {"deployments": [deployment()]}
    return {"routes": {"one": {**base, **first}, "two": {**base, **second}}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (two({"aliases": ["two"]}, {}), "alias 'two' of the route 'one' is taken"),
        (two({"aliases": ["x"]}, {"aliases": ["x"]}), "taken by the route 'one'"),
        (two({"deployments": [deployment(name="d")]}, {"deployments": [deployment(name="d", model="n")]}), "'d' means"),
        (two(*[{"experiment": {"name": "e", "arms": {"a": 1}}}] * 2), "stands in the route 'one', too"),
        (
            two(*[{"experiment": {"name": n, "arms": {"a": 1}, "namespace": "s", "traffic": 0.6}} for n in "xy"]),
            "more than all units",
        ),
    ],
)
def test_mistakes_between_routes(specs: Specs, document: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compile_routes(make(document), Provider, specs)


def test_all_mistakes_at_once_each_with_its_line(specs: Specs, tmp_path: Path) -> None:
    path = tmp_path / "pilothouse.yaml"
    path.write_text(
        "gateway:\n  routes:\n    chat:\n      deployments:\n        - {connection: eats}\n"
        "      fallback:\n        - nowhere\n"
    )
    wrong = route({"connection": "eats"}, fallback=["nowhere"])
    with pytest.raises(ConfigError) as caught:
        compile_routes(make(wrong), Provider, specs, where=place_in(path))
    assert f"{path}:5" in str(caught.value)
    assert f"{path}:7" in str(caught.value)
    assert len(caught.value.problems) == 2


def test_a_connection_that_cannot_be_used(specs: Specs) -> None:
    def provider(name: str) -> Provider:
        raise ConnectionFault(f"{name} has no key", fix="export KEY=...")

    with pytest.raises(ConfigError, match="'east' cannot be used: east has no key"):
        compile_routes(make(route()), provider, specs)
