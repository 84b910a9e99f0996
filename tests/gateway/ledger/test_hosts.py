"""Rows travel between hosts through the database: each once, none lost on the way, none taken from a disk too early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import StorageError
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.core.storage.segments import list_segments
from pilothouse.core.storage.sql import Database, identity
from pilothouse.gateway.ledger.hosts.service import LedgerHosts
from pilothouse.gateway.ledger.hosts.store import BatchStore
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.store import LedgerStore
from pilothouse.gateway.ledger.writer import LedgerWriter
from pilothouse.models.rates.card import RateCard
from pilothouse.models.settings import Price

from .conftest import NOON, entry

Host = Callable[..., tuple[LedgerService, LedgerHosts]]


@pytest.fixture
def host(tmp_path: Path, database: Database) -> Host:
    """Return a way to write entries on a host, and its ledger."""

    def write(name: str, *numbers: int, prices: tuple[Price, ...] = ()) -> tuple[LedgerService, LedgerHosts]:
        folder, clock = tmp_path / name, FixedClock(NOON)
        writer = LedgerWriter(folder)
        for number in numbers:
            writer.record(entry(number))
        assert writer.flush()
        writer.close()
        hosts = LedgerHosts(folder, BatchStore(database, name), clock)
        return LedgerService(folder, rates=RateCard(prices), clock=clock, hosts=hosts), hosts

    return write


def ids(ledger: LedgerService) -> list[str]:
    return [call.entry.id for call in ledger.calls().calls]


def test_every_host_has_every_row_once(host: Host, tmp_path: Path) -> None:
    a, _ = host("a", 1, 2, 3)
    b, told = host("b", 4, 5)
    told.send()
    told.send()
    assert ids(a) == [f"call-{number:06d}" for number in (5, 4, 3, 2, 1)]
    assert ids(b) == ids(a)
    host("a", 6)
    assert ids(a) == ids(b) == [f"call-{number:06d}" for number in (6, 5, 4, 3, 2, 1)]
    assert a.spent(0) == b.spent(0)
    assert list_segments(tmp_path / "a" / INCOMING) == []


def test_a_host_that_comes_later_has_all(host: Host) -> None:
    a, _ = host("a", 1, 2)
    a.ingest()
    assert ids(host("c")[0]) == ids(a)


def test_a_row_written_after_the_sending_stays_on_the_disk_until_it_is_sent(host: Host, tmp_path: Path) -> None:
    a, told = host("a", 1)
    sent = told.send()
    host("a", 2)
    with LedgerStore(tmp_path / "a") as store:
        assert store.ingest(sent, told.after).calls == 2
    assert len(list_segments(tmp_path / "a" / INCOMING)) == 1
    assert ids(a) == ids(host("b")[0]) == ["call-000002", "call-000001"]
    assert list_segments(tmp_path / "a" / INCOMING) == []


def test_a_segment_that_grows_is_sent_in_pieces_without_its_torn_end(host: Host, tmp_path: Path) -> None:
    _, told = host("a", 1)
    (path,) = list_segments(tmp_path / "a" / INCOMING)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "torn')
    assert told.send() == {path.name: len(whole)}
    with path.open("ab") as stream:
        stream.write(b'"}\n' + whole.replace(b"call-000001", b"call-000002") * 3000)
    told.send()
    assert ids(host("b")[0]) == ["call-000002", "call-000001"]


def test_new_prices_reach_the_others(host: Host) -> None:
    _, told = host("a", 1)
    told.send()
    dear = Price(model="m", input=2.0, output=0.0, provider="house")
    b, _ = host("b", prices=(dear,))
    report = b.rerate()
    assert report.changed == 1
    a, _ = host("a")
    assert [row.cost for row in a.spend()] == [row.cost for row in b.spend()] == [2_000_000]


def test_a_damaged_batch_is_told(host: Host, database: Database) -> None:
    _, told = host("a", 1)
    told.send()
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE gateway_ledger_batches SET data = :data"), {"data": b"nonsense"})
    with pytest.raises(StorageError, match=r"batch 1 .* damaged"):
        host("b")[0].spend()


def test_a_database_has_one_name_for_ever(database: Database, tmp_path: Path) -> None:
    assert identity(database) == identity(database)
    other = Database.at(tmp_path / "other.db")
    other.upgrade()
    assert identity(other) != identity(database)
    other.close()
