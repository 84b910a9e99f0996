"""The audit log: whoever changes, removes or adds a row of it by hand is found out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pilothouse.access.audit import store as storing
from pilothouse.access.audit.service import AuditService
from pilothouse.access.audit.store import AuditStore, append
from pilothouse.access.audit.types import BEGIN, Anchor, Change, seal
from pilothouse.access.types import Actor
from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import DataError
from pilothouse.core.storage.sql import Database

AGAIN = """
INSERT INTO access_audit
SELECT 6, at, actor, actor_kind, action, target, before, after, previous, hash FROM access_audit WHERE number = 5
"""


@pytest.fixture
def log(database: Database, clock: FixedClock) -> AuditService:
    return AuditService(store=AuditStore(database), clock=clock, actor=Actor(name="ada"))


@pytest.fixture
def five(log: AuditService, clock: FixedClock) -> AuditService:
    for number in range(5):
        log.record("route.weights", f"route/r{number % 2}", before={"w": number}, after={"w": number + 1, "é": "\x00"})
        clock.advance(0.000001)
    return log


def run(database: Database, statement: str) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql(statement)


def test_rows_are_told_as_they_were_written(five: AuditService) -> None:
    rows = five.list()
    assert [row.number for row in rows] == [5, 4, 3, 2, 1]
    assert rows[0].change.actor == Actor(name="ada")
    assert rows[0].change.after == {"w": 5, "é": "\x00"}
    assert rows[0].previous == rows[1].hash
    assert rows[-1].previous == BEGIN
    assert [row.number for row in five.list(limit=2, before=4)] == [3, 2]
    assert [row.number for row in five.list(target="route/r1")] == [4, 2]
    assert [row.number for row in five.list(target="route")] == [5, 4, 3, 2, 1]
    assert five.list(target="rout") == five.list(target="route/r%") == []


def test_a_sound_log_is_sound(five: AuditService, log: AuditService) -> None:
    verdict = five.verify()
    assert (verdict.rows, verdict.broken, verdict.reason) == (5, None, "")
    assert verdict.head == five.list(limit=1)[0].hash
    assert five.verify(Anchor(number=3, hash=five.list(before=4)[0].hash)).broken is None


def test_an_empty_log_is_sound(log: AuditService) -> None:
    assert (log.verify().rows, log.verify().head) == (0, BEGIN)


@pytest.mark.parametrize(
    ("statement", "broken", "reason"),
    [
        ("UPDATE access_audit SET actor = 'bob' WHERE number = 3", 3, "content"),
        ("UPDATE access_audit SET actor_kind = 'service' WHERE number = 1", 1, "content"),
        ("UPDATE access_audit SET after = '{\"w\":9}' WHERE number = 2", 2, "content"),
        ("UPDATE access_audit SET before = NULL WHERE number = 2", 2, "content"),
        ("UPDATE access_audit SET target = 'route/x' WHERE number = 5", 5, "content"),
        ("UPDATE access_audit SET at = '2020-01-01 00:00:00.000000' WHERE number = 4", 4, "content"),
        ("UPDATE access_audit SET hash = previous WHERE number = 4", 4, "content"),
        ("UPDATE access_audit SET after = 'no json' WHERE number = 3", 3, "cannot be read"),
        ("DELETE FROM access_audit WHERE number = 1", 1, "missing"),
        ("DELETE FROM access_audit WHERE number = 3", 3, "missing"),
        ("UPDATE access_audit SET number = 99 WHERE number = 3", 3, "missing"),
        ("UPDATE access_audit SET number = -1 WHERE number = 3", 1, "missing"),
        (
            AGAIN,
            6,
            "does not follow",
        ),
    ],
)
def test_a_row_that_was_touched_is_found(
    five: AuditService, database: Database, statement: str, broken: int, reason: str
) -> None:
    run(database, statement)
    verdict = five.verify()
    assert verdict.broken == broken
    assert reason in verdict.reason
    assert verdict.rows == broken - 1


def test_rows_cut_off_and_a_rewritten_log_need_an_anchor(five: AuditService, database: Database) -> None:
    noted = Anchor(number=5, hash=five.verify().head)
    run(database, "DELETE FROM access_audit WHERE number = 5")
    assert five.verify().broken is None
    assert five.verify(noted).broken == 5
    last = five.list(limit=1)[0]
    forged = Change(at=last.change.at, actor=Actor(name="eve"), action="x", target="y")
    with database.begin() as connection:
        append(connection, forged)
    assert five.verify().broken is None
    verdict = five.verify(noted)
    assert (verdict.broken, "rewritten" in verdict.reason) == (5, True)


def test_each_part_is_sealed(clock: FixedClock) -> None:
    one = Change(at=clock.now(), actor=Actor(name="a"), action="x", target="t")
    assert len({seal(1, one, BEGIN), seal(2, one, BEGIN), seal(1, one, "1" * 64)}) == 3


def test_writers_at_once_leave_no_gap(five: AuditService, database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: five.record("x", f"t/{number}"), range(20)))
    assert five.verify().rows == 25


def test_a_row_goes_with_its_transaction(five: AuditService, database: Database, clock: FixedClock) -> None:
    change = Change(at=clock.now(), actor=Actor(name="ada"), action="x", target="y")
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        print(append(connection, change).number // 0)
    assert five.verify().rows == 5


def test_what_has_no_json_form_is_refused(log: AuditService) -> None:
    with pytest.raises(DataError):
        log.record("x", "y", after={"n": float("nan")})
    assert log.list() == []


def test_a_long_log_is_read_in_parts(five: AuditService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "_AT_ONCE", 2)
    assert five.verify().rows == 5
