"""Every role and every action."""

from __future__ import annotations

import pytest

from pilothouse.access.roles import ACTIONS, NARROWED, ROLES, allows

TABLE = """
action        caller viewer operator admin
call          x      .      x        x
feedback      x      .      x        x
explain       .      x      x        x
stats.read    .      x      x        x
routes.read   .      x      x        x
routes.write  .      .      x        x
limits.read   .      x      x        x
limits.write  .      .      x        x
ledger.read   .      x      x        x
ledger.write  .      .      x        x
replay        .      .      x        x
keys.read     .      x      x        x
keys.write    .      .      .        x
audit.read    .      .      .        x
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
CASES = [(role, row[0], row[1 + place] == "x") for row in ROWS[1:] for place, role in enumerate(ROWS[0][1:])]


def test_the_table_here_is_complete() -> None:
    assert tuple(ROWS[0][1:]) == ROLES
    assert {row[0] for row in ROWS[1:]} == set(ACTIONS)


@pytest.mark.parametrize(("role", "action", "allowed"), CASES)
def test_every_role_and_action(role: str, action: str, allowed: bool) -> None:
    assert allows(role, action) is allowed
    assert allows(role, action, organisation="acme") is (allowed and action in NARROWED)


@pytest.mark.parametrize("unknown", ["", "root", "Admin", "admin ", "*"])
def test_what_is_not_in_the_table_is_not_allowed(unknown: str) -> None:
    assert not any(allows(unknown, action) for action in ACTIONS)
    assert not any(allows(role, unknown) for role in ROLES)
