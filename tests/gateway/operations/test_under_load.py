"""Reload, weights, revocation, roll-back, a killed process and the end: each while clients ask without a pause.

No call is lost: each is answered to its end, or its client was turned away before a byte of the answer and has its
answer from a further try. What a process held that was killed without a warning is the one exception, and counted.
"""

from __future__ import annotations

from collections import Counter

import pytest

from .client import Outcome
from .scenarios import Found, changes, run, workers

UNSYNCED = 0.5  # seconds of ended calls whose rows a killed process may still have held; it is a tenth at best


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run(changes, tmp_path_factory.mktemp("changes"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run(workers, tmp_path_factory.mktemp("workers"))


def between(found: Found, clients: str, since: str, until: str) -> list[Outcome]:
    """Return calls that began after one moment and before another."""
    return [one for one in found.outcomes if one.clients == clients and found.at[since] < one.begun < found.at[until]]


def test_no_call_is_lost_and_no_stream_is_cut(changed: Found) -> None:
    assert changed.code == 0, changed.said
    assert not changed.lost
    assert {(one.status, one.code) for one in changed.outcomes} == {(200, ""), (401, "key_revoked"), (0, "")}
    assert changed.bill["served"] == len(changed.answered)
    assert changed.bill["aborted"] == 0


def test_every_answered_call_has_one_row_with_the_version_that_decided_it(changed: Found) -> None:
    answered = {one.call: (one.config, one.deployment) for one in changed.answered}
    assert len(answered) == len(changed.answered)
    rows = Counter(row.entry.id for row in changed.rows)
    assert rows == Counter(list(answered))
    assert {row.entry.id: (row.entry.config, row.entry.deployment) for row in changed.rows} == answered
    assert sum(row.entry.cost or 0 for row in changed.rows) == changed.bill["cost"]


def test_weights_and_a_rollback_hold_for_every_call_after_them(changed: Found) -> None:
    before = [one for one in changed.outcomes if one.clients == "ann-quick" and one.ended < changed.at["weights"]]
    assert {one.config for one in before} >= {"1"}
    after = between(changed, "ann-quick", "weights in force", "new file")
    assert {(one.config, one.deployment) for one in after if one.config == "2"} == {("2", "quick-second")}
    back = [one for one in changed.answered if one.begun > changed.at["rolled back"] and one.clients == "ann-quick"]
    assert {one.deployment for one in back} == {"quick-second"}
    assert {one.config for one in back} <= {"2", "4"}


def test_a_revoked_key_opens_nothing_and_its_streams_come_to_their_end(changed: Found) -> None:
    refused = [one for one in changed.outcomes if one.code == "key_revoked"]
    assert {one.clients for one in refused} == {"bob-paced", "bob-quick"}
    first = min(one.begun for one in refused)
    bobs = [one for one in changed.outcomes if one.clients.startswith("bob") and one.status == 200]
    assert all(one.begun < first + UNSYNCED for one in bobs)
    assert all(one.whole for one in bobs)
    assert any(one.ended > first for one in bobs), "a stream that had begun went on"


def test_a_broken_file_changes_nothing_and_says_why(changed: Found) -> None:
    assert "pilothouse.yaml:3: unknown key 'rutes'" in changed.said
    assert changed.seen["broken file"]["status"] == "ready"
    assert changed.seen["broken file"]["config"] == "2"
    assert changed.seen["broken file"]["faults"] == ["pilothouse.yaml"]
    assert changed.seen["new file"]["faults"] == [], "a file that is well again is no fault any more"


def test_a_new_file_tells_what_it_put_out_of_force_and_what_waits(changed: Found) -> None:
    assert "2 changes made while serving are gone" in changed.said
    assert "routes.quick.deployments.0.weight: its default had become 0.0" in changed.said
    assert "these wait for a restart: gateway.drain" in changed.said
    assert changed.seen["new file"]["config"] == "3"


def test_captures_begin_with_the_version_that_wants_them(changed: Found) -> None:
    assert changed.seen["captures"] == {"before": False, "after": True}


def test_a_killed_process_takes_along_only_what_it_held(killed: Found) -> None:
    assert killed.code == 0, killed.said
    at = killed.at["killed"]
    held = [one for one in killed.outcomes if one.begun <= at <= one.ended]
    broken = [one for one in killed.outcomes if one.status and not one.whole]
    assert all(one in held for one in broken), "calls of the other process, and later ones, are untouched"
    assert len(broken) < len(held), "and the other process went on"
    assert {one.status for one in killed.outcomes if one.ended < killed.at["weights"]} == {200}
    retried = [one for one in killed.outcomes if one.turned_away and one.status]
    assert all(one.whole for one in retried)


def test_after_a_kill_rows_are_missing_of_the_last_moment_alone(killed: Found) -> None:
    rows = Counter(row.entry.id for row in killed.rows)
    assert set(rows.values()) == {1}
    unwritten = [one for one in killed.answered if one.call not in rows]
    assert all(abs(one.ended - killed.at["killed"]) < UNSYNCED for one in unwritten)


def test_every_process_takes_a_change_in_and_none_is_cut_at_the_end(killed: Found) -> None:
    after = [one for one in killed.answered if one.clients == "ann-quick" and one.begun > killed.at["weights in force"]]
    assert after
    assert {(one.config, one.deployment) for one in after} == {("2", "quick-second")}
    late = [one for one in killed.outcomes if one.ended > killed.at["weights in force"]]
    assert all(one.whole or (one.turned_away and not one.status) for one in late)
