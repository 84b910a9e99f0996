"""The ledger's minute: entries are taken in beside the gateway, by one process, and nothing fails for a store in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pilothouse.core.storage.owner import OwnerLock
from pilothouse.core.storage.segments import FOLDER as INCOMING
from pilothouse.core.storage.segments import list_segments
from pilothouse.gateway.ledger.keeping import LedgerKeeper
from pilothouse.gateway.ledger.service import LedgerService

from .conftest import entry


def test_entries_are_taken_in_once_and_nothing_new_starts_nothing(
    folder: Path, ledger: Callable[..., LedgerService]
) -> None:
    service = ledger(*(entry(number) for number in range(50)))
    keeper = LedgerKeeper(folder, folder.parent.parent)
    assert keeper.look()
    assert not list_segments(folder / INCOMING), "the store holds them now"
    keeper.look()
    assert not keeper.look()
    keeper.close()
    assert sum(row.calls for row in service.spend()) == 50


def test_a_store_that_is_in_use_is_left_for_the_next_time(
    folder: Path, ledger: Callable[..., LedgerService], capsys: pytest.CaptureFixture[str]
) -> None:
    ledger(entry(1))
    keeper = LedgerKeeper(folder, folder.parent.parent)
    held = OwnerLock(folder / "owner.lock", 0.0)
    assert not keeper.look()
    held.release()
    assert keeper.look()
    keeper.close()
    assert capsys.readouterr().err == ""


def test_one_process_keeps_the_ledger_and_another_follows_it(
    folder: Path, ledger: Callable[..., LedgerService]
) -> None:
    ledger(entry(1))
    first, second = LedgerKeeper(folder, folder.parent.parent), LedgerKeeper(folder, folder.parent.parent)
    assert first.look()
    ledger(entry(2))
    assert not second.look()
    first.close()
    assert second.look()
    second.close()


def test_a_run_that_fails_is_told_once_and_tried_again(
    folder: Path, ledger: Callable[..., LedgerService], capsys: pytest.CaptureFixture[str]
) -> None:
    ledger(entry(1))
    (folder / "ledger.duckdb").write_text("no database")
    keeper = LedgerKeeper(folder, folder.parent.parent)
    assert not keeper.look()
    assert not keeper.look()
    said = capsys.readouterr().err
    assert said.count("which is tried again") == 1
    assert "ledger.duckdb" in said
    (folder / "ledger.duckdb").unlink()
    assert keeper.look()
    keeper.close()
