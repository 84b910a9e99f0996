"""What was made from what, both ways."""

from __future__ import annotations

import pytest

from pilothouse.core.errors import NotFound, UserError
from pilothouse.registry import store
from pilothouse.registry.service import RegistryService


@pytest.fixture
def chain(registry: RegistryService, digest_of) -> RegistryService:
    """Raw data, cleaned data, two flows that read it, an evaluation of one."""
    for kind, name in [("dataset", "raw"), ("dataset", "clean"), ("flow", "a"), ("flow", "b"), ("run", "r")]:
        registry.register(kind, name, digest_of(name))
    registry.link("dataset/raw", "dataset/clean", "input")
    registry.link("dataset/clean", "flow/a", "input")
    registry.link("dataset/clean", "flow/b", "input")
    registry.link(registry.resolve("flow/a"), registry.resolve("run/r"), "produced")
    return registry


def ends(edges) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in edges]


RAW_CLEAN = ("dataset/raw:1", "dataset/clean:1")
CLEAN_A = ("dataset/clean:1", "flow/a:1")
CLEAN_B = ("dataset/clean:1", "flow/b:1")
A_RUN = ("flow/a:1", "run/r:1")


def test_up_and_down_to_the_ends_nearest_first(chain: RegistryService) -> None:
    assert ends(chain.lineage("run/r", "up")) == [A_RUN, CLEAN_A, RAW_CLEAN]
    assert ends(chain.lineage("run/r", "down")) == []
    assert ends(chain.lineage("dataset/raw", "down")) == [RAW_CLEAN, CLEAN_A, CLEAN_B, A_RUN]
    assert ends(chain.lineage("flow/a")) == [CLEAN_A, RAW_CLEAN, A_RUN]


def test_so_many_steps(chain: RegistryService) -> None:
    assert ends(chain.lineage("run/r", "up", depth=2)) == [A_RUN, CLEAN_A]
    assert ends(chain.lineage("dataset/clean", depth=1)) == [RAW_CLEAN, CLEAN_A, CLEAN_B]


def test_a_fact_stated_twice_is_one_fact(chain: RegistryService, clock) -> None:
    first = chain.lineage("dataset/clean", "up")[0]
    clock.advance(60)
    assert chain.link("dataset/raw", "dataset/clean", "input") == first
    assert len(chain.lineage("dataset/clean", "up")) == 1
    chain.link("dataset/raw", "dataset/clean", "evaluated_by")
    assert len(chain.lineage("dataset/clean", "up")) == 2


def test_a_link_holds_the_version_not_the_name(chain: RegistryService, digest_of) -> None:
    chain.register("dataset", "clean", digest_of("clean, later"))
    assert chain.lineage("dataset/clean") == ()
    assert chain.lineage("dataset/clean:1", "up", depth=1)[0].target == "dataset/clean:1"


def test_circles_end(chain: RegistryService) -> None:
    chain.link("run/r", "dataset/raw", "input")
    assert ends(chain.lineage("dataset/raw", "down")) == [
        RAW_CLEAN,
        CLEAN_A,
        CLEAN_B,
        A_RUN,
        ("run/r:1", "dataset/raw:1"),
    ]
    assert len(chain.lineage("dataset/raw", "up")) == 4
    assert len(chain.lineage("dataset/raw")) == 5


def test_nothing_is_made_from_itself(chain: RegistryService) -> None:
    with pytest.raises(UserError, match="cannot be made from itself"):
        chain.link("flow/a", "flow/a:1", "input")


def test_both_ends_must_be_known(chain: RegistryService) -> None:
    for source, target in [("flow/a", "flow/zzz"), ("flow/a:2", "run/r")]:
        with pytest.raises(NotFound):
            chain.link(source, target, "input")
    with pytest.raises(NotFound):
        chain.lineage("flow/zzz")


@pytest.mark.parametrize("relation", ["", "made from", "INPUT", "x" * 41, "a\n"])
def test_a_relation_is_one_word(chain: RegistryService, relation: str) -> None:
    with pytest.raises(UserError, match="cannot be a relation"):
        chain.link("flow/a", "flow/b", relation)


def test_more_than_fits_into_one_question(chain: RegistryService, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = chain.lineage("dataset/raw", "down")
    monkeypatch.setattr(store, "_AT_ONCE", 1)
    assert chain.lineage("dataset/raw", "down") == whole
