"""Aliases move, go back and disappear; their history stays."""

from __future__ import annotations

import pytest

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import Conflict, NotFound, UserError
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import AliasChange


@pytest.fixture(autouse=True)
def three_versions(registry: RegistryService, digest_of) -> None:
    for text in "abc":
        registry.register("index", "docs", digest_of(text))


def moves(registry: RegistryService) -> list[tuple[str, int | None, int | None]]:
    return [(change.alias, change.previous, change.number) for change in registry.alias_history("index", "docs")]


def test_who_moved_it_when_from_where_to_where(registry: RegistryService, clock: FixedClock) -> None:
    registry.set_alias("index", "docs", "production", 2)
    clock.advance(60)
    change = registry.set_alias("index", "docs", "production", 3)
    assert change == AliasChange(
        kind="index", name="docs", alias="production", number=3, previous=2, changed_at=clock.now(), actor="ada"
    )
    assert registry.resolve("index/docs@production").number == 3
    assert registry.alias_history("index", "docs")[-1] == change
    assert moves(registry) == [("production", None, 2), ("production", 2, 3)]


def test_moving_it_to_where_it_is_changes_nothing(registry: RegistryService) -> None:
    registry.set_alias("index", "docs", "production", 2)
    assert registry.set_alias("index", "docs", "production", 2) is None
    assert len(moves(registry)) == 1


def test_back_in_one_step_and_forth_again(registry: RegistryService) -> None:
    registry.set_alias("index", "docs", "production", 1)
    registry.set_alias("index", "docs", "production", 3)
    assert registry.return_alias("index", "docs", "production").number == 1
    assert registry.resolve("index/docs@production").number == 1
    assert registry.return_alias("index", "docs", "production").number == 3
    assert moves(registry)[-2:] == [("production", 3, 1), ("production", 1, 3)]


def test_back_from_removal(registry: RegistryService) -> None:
    registry.set_alias("index", "docs", "production", 2)
    registry.remove_alias("index", "docs", "production")
    assert registry.return_alias("index", "docs", "production").number == 2


def test_back_from_nowhere(registry: RegistryService) -> None:
    with pytest.raises(NotFound, match="no alias 'production'"):
        registry.return_alias("index", "docs", "production")
    registry.set_alias("index", "docs", "production", 2)
    with pytest.raises(Conflict, match="pointed at nothing before"):
        registry.return_alias("index", "docs", "production")


def test_removal_keeps_the_history(registry: RegistryService) -> None:
    registry.set_alias("index", "docs", "production", 2)
    registry.set_alias("index", "docs", "champion", 2)
    assert registry.remove_alias("index", "docs", "production").previous == 2
    assert registry.aliases("index", "docs") == {"champion": 2}
    assert moves(registry)[-1] == ("production", 2, None)
    with pytest.raises(NotFound, match="no alias 'production'"):
        registry.resolve("index/docs@production")
    with pytest.raises(NotFound):
        registry.remove_alias("index", "docs", "production")


def test_the_same_alias_of_another_name_is_another_alias(registry: RegistryService, digest_of) -> None:
    registry.register("index", "other", digest_of("a"))
    registry.set_alias("index", "docs", "production", 3)
    registry.set_alias("index", "other", "production", 1)
    assert registry.resolve("index/docs@production").number == 3
    assert len(registry.alias_history("index", "other")) == 1


def test_an_alias_points_at_a_version_that_exists(registry: RegistryService) -> None:
    for number in (0, 4, -1):
        with pytest.raises(UserError):
            registry.set_alias("index", "docs", "production", number)
    assert moves(registry) == []


@pytest.mark.parametrize("alias", ["", "3", "a b", "a/b", "x" * 65, "a\n", "a@b", "é"])
def test_what_cannot_be_an_alias(registry: RegistryService, alias: str) -> None:
    for verb in (
        lambda: registry.set_alias("index", "docs", alias, 1),
        lambda: registry.remove_alias("index", "docs", alias),
        lambda: registry.return_alias("index", "docs", alias),
    ):
        with pytest.raises(UserError, match="cannot be an alias"):
            verb()
