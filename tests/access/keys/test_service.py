"""Making and changing keys, on both databases."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from pilothouse.access.audit.service import AuditService
from pilothouse.access.audit.store import AuditStore
from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.tables import keys as keys_table
from pilothouse.access.keys.types import Acting, KeyDraft
from pilothouse.access.refusals import Forbidden
from pilothouse.access.secret import Secret
from pilothouse.access.types import Actor
from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import Conflict, NotFound, UserError
from pilothouse.core.storage.sql import Database, metadata

HOUR = timedelta(hours=1)


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000


def everything_kept(database: Database) -> str:
    with database.read() as connection:
        return "\n".join(str(connection.execute(sa.select(table)).all()) for table in metadata.sorted_tables)


def test_a_key_is_made_and_found_by_name_and_id(keys: KeyService, clock: FixedClock) -> None:
    draft = KeyDraft(
        name="ci",
        organisation="acme",
        team="search",
        user="bot",
        use_case="tests",
        models=("gpt-*",),
        operations=("chat",),
    )
    issued = keys.create(draft)
    assert re.fullmatch(r"ph-[A-Za-z0-9_-]{43}", issued.secret.reveal())
    assert issued.key == keys.show("ci") == keys.show(issued.key.id) == keys.list()[0]
    assert {name: getattr(issued.key, name) for name in KeyDraft.__struct_fields__} == {
        name: getattr(draft, name) for name in KeyDraft.__struct_fields__
    }
    assert (issued.key.created_at, issued.key.created_by, issued.key.state(clock.now())) == (
        clock.now(),
        "ada",
        "active",
    )
    assert issued.secret.reveal().startswith(issued.key.prefix)
    assert len(issued.key.prefix) == 9


def test_a_secret_is_nowhere_but_in_the_hand(keys: KeyService, database: Database) -> None:
    secrets = [keys.create(KeyDraft(name="ci")).secret, keys.rotate("ci").secret]
    keys.revoke("ci")
    kept = everything_kept(database)
    for secret in secrets:
        assert secret.reveal()[10:] not in kept
        assert secret.reveal() not in repr(secret)
    assert secrets[0] != secrets[1]


def test_rotation_keeps_the_id_and_lets_the_old_secret_end(keys: KeyService, clock: FixedClock) -> None:
    first = keys.create(KeyDraft(name="ci"))
    clock.advance(60)
    second = keys.rotate("ci", grace=HOUR)
    assert second.key.id == first.key.id
    assert (second.key.rotated_from, second.key.rotated_at) == (first.key.prefix, clock.now())
    assert second.key.old_until == clock.now() + HOUR
    ring, now = keys.ring(), nanoseconds(clock.now())
    old, new = ring.find(first.secret.reveal()), ring.find(second.secret.reveal())
    assert old is not None
    assert new is not None
    assert (old.state(now), old.state(now + 3600 * 10**9), new.state(now + 3600 * 10**9)) == (
        "active",
        "expired",
        "active",
    )
    assert keys.recognise(first.secret.reveal()) == (second.key, True)
    clock.advance(3600)
    assert keys.recognise(first.secret.reveal()) == (second.key, False)
    assert keys.recognise(second.secret.reveal()) == (second.key, True)


def test_a_rotation_never_lengthens_an_older_ones_life(keys: KeyService, clock: FixedClock) -> None:
    first = keys.create(KeyDraft(name="ci"))
    keys.rotate("ci", grace=timedelta(0))
    keys.rotate("ci", grace=HOUR)
    entry = keys.ring().find(first.secret.reveal())
    assert entry is not None
    assert entry.state(nanoseconds(clock.now())) == "expired"


def test_a_revoked_key_stays_revoked(keys: KeyService, clock: FixedClock) -> None:
    issued = keys.create(KeyDraft(name="ci"))
    revoked = keys.revoke("ci")
    assert revoked.revoked_at == clock.now()
    assert keys.recognise(issued.secret.reveal()) == (revoked, False)
    entry = keys.ring().find(issued.secret.reveal())
    assert entry is not None
    assert entry.state(nanoseconds(clock.now())) == "revoked"
    clock.advance(5)
    assert keys.revoke("ci") == revoked
    with pytest.raises(Conflict, match="revoked"):
        keys.rotate("ci")
    with pytest.raises(Conflict, match="revoked"):
        keys.update("ci", {"team": "x"})
    with pytest.raises(Conflict, match="exists already"):
        keys.create(KeyDraft(name="ci"))


def test_an_update_changes_what_was_named_only(keys: KeyService) -> None:
    made = keys.create(KeyDraft(name="ci", team="a", models=("x",))).key
    after = keys.update("ci", {"name": "cd", "models": ("x", "y*")})
    assert after == replace(made, name="cd", models=("x", "y*"), revision=made.revision + 1)
    with pytest.raises(NotFound, match="no key 'ci'") as caught:
        keys.show("ci")
    assert "cd" in str(caught.value)


def test_a_change_that_was_decided_on_old_knowledge_is_refused(keys: KeyService) -> None:
    seen = keys.create(KeyDraft(name="ci")).key.revision
    keys.update("ci", {"team": "a"}, expected=seen)
    for verb in (keys.revoke, keys.rotate):
        with pytest.raises(Conflict, match="has changed"):
            verb("ci", expected=seen)
    with pytest.raises(Conflict, match="has changed"):
        keys.update("ci", {"team": "b"}, expected=seen)
    assert keys.show("ci").team == "a"


def test_a_name_is_never_anothers_id(keys: KeyService) -> None:
    made = keys.create(KeyDraft(name="ci")).key
    for name in ("ci", made.id):
        with pytest.raises(Conflict, match="exists already"):
            keys.create(KeyDraft(name=name))
    keys.create(KeyDraft(name="other"))
    with pytest.raises(Conflict, match="exists already"):
        keys.update("other", {"name": made.id})


@pytest.mark.parametrize(
    ("draft", "where"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "\x1b[31m"}, "name"),
        ({"name": "ci", "team": "a\x00b"}, "team"),
        ({"name": "ci", "organisation": "é" * 101}, "organisation"),
        ({"name": "ci", "role": "root"}, "role"),
        ({"name": "ci", "models": ("a b",)}, "models"),
        ({"name": "ci", "models": ("",)}, "models"),
        ({"name": "ci", "models": ("x",) * 1001}, "models"),
        ({"name": "ci", "operations": ("Chat!",)}, "operations"),
        ({"name": "ci", "expires_at": datetime(2030, 1, 1)}, "expires_at"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(keys: KeyService, draft: dict[str, Any], where: str) -> None:
    with pytest.raises((UserError, TypeError), match=where):
        keys.create(KeyDraft(**draft))
    assert keys.list() == []


def test_a_key_that_has_expired_before_it_was_made(keys: KeyService, clock: FixedClock) -> None:
    with pytest.raises(UserError, match="already"):
        keys.create(KeyDraft(name="ci", expires_at=clock.now()))
    issued = keys.create(KeyDraft(name="ci", expires_at=clock.now() + HOUR))
    clock.advance(3600)
    assert keys.show("ci").state(clock.now()) == "expired"
    assert keys.recognise(issued.secret.reveal()) == (keys.show("ci"), False)


def test_a_field_that_a_key_does_not_have(keys: KeyService) -> None:
    keys.create(KeyDraft(name="ci"))
    for field in ("id", "revoked_at", "created_by", "modles"):
        with pytest.raises(UserError, match=f"no '{field}'"):
            keys.update("ci", {field: "x"})


def test_unknown_secrets(keys: KeyService) -> None:
    keys.create(KeyDraft(name="ci"))
    for token in ("", "ph-", "ph-" + "A" * 43, "ph-\udcff", "é", "x" * 1_000_000):
        assert keys.recognise(token) is None
        assert keys.ring().find(token) is None
    assert keys.ring().find(b"\xff\x00") is None


def test_the_last_day_of_use_is_no_change(keys: KeyService) -> None:
    made = keys.create(KeyDraft(name="ci")).key
    keys.used([made.id, made.id, "unknown"])
    assert keys.show("ci").last_used == date(2026, 1, 2)
    keys.used([made.id], date(2025, 1, 1))
    assert keys.show("ci") == replace(made, last_used=date(2026, 1, 2))
    assert keys.revision() == made.revision
    keys.update("ci", {"team": "a"})
    assert keys.show("ci").last_used == date(2026, 1, 2)


def test_every_change_is_in_the_audit_log_without_secrets(
    keys: KeyService, database: Database, clock: FixedClock
) -> None:
    keys.create(KeyDraft(name="ci", team="a"))
    keys.update("ci", {"team": "b"})
    keys.rotate("ci")
    keys.revoke("ci", acting=Acting(actor=Actor(name="bob")))
    log = AuditService(store=AuditStore(database), clock=clock, actor=Actor(name="x"))
    rows = [entry.change for entry in log.list(target="key/ci")][::-1]
    assert [row.action for row in rows] == ["key.create", "key.update", "key.rotate", "key.revoke"]
    assert [row.actor.name for row in rows] == ["ada", "ada", "ada", "bob"]
    assert rows[0].before is None
    assert rows[1].before is not None
    assert rows[1].after is not None
    assert (rows[1].before["team"], rows[1].after["team"]) == ("a", "b")
    assert log.verify().rows == 4


def test_a_change_whose_audit_row_cannot_be_written_does_not_happen(keys: KeyService, database: Database) -> None:
    keys.create(KeyDraft(name="ci"))
    with database.begin() as connection:
        connection.exec_driver_sql("DROP TABLE access_audit")
    with pytest.raises(Exception, match="access_audit"):
        keys.revoke("ci")
    assert keys.show("ci").revoked_at is None


@pytest.mark.parametrize("role", ["caller", "viewer", "operator"])
def test_rights_are_looked_at_again_when_the_change_is_made(keys: KeyService, role: str) -> None:
    keys.create(KeyDraft(name="victim"))
    boss = keys.create(KeyDraft(name="boss", role="admin")).key
    acting = Acting(actor=Actor(name="boss", kind="service"), key=boss.id)
    keys.update("victim", {"team": "a"}, acting=acting)
    keys.update("boss", {"role": role})
    with pytest.raises(Forbidden, match=role):
        keys.revoke("victim", acting=acting)
    keys.update("boss", {"role": "admin"})
    keys.revoke("boss")
    for act in (lambda: keys.rotate("victim", acting=acting), lambda: keys.create(KeyDraft(name="new"), acting=acting)):
        with pytest.raises(Forbidden, match="any more"):
            act()
    assert [key.name for key in keys.list()] == ["boss", "victim"]
    assert keys.show("victim").rotated_at is None


def test_a_key_of_one_organisation_changes_no_other(keys: KeyService) -> None:
    keys.create(KeyDraft(name="theirs", organisation="other"))
    keys.create(KeyDraft(name="ours", organisation="acme"))
    boss = keys.create(KeyDraft(name="boss", organisation="acme", role="admin")).key
    acting = Acting(actor=Actor(name="boss", kind="service"), key=boss.id)
    keys.update("ours", {"team": "x"}, acting=acting)
    for attempt in (
        lambda: keys.revoke("theirs", acting=acting),
        lambda: keys.rotate("theirs", acting=acting),
        lambda: keys.update("ours", {"organisation": ""}, acting=acting),
        lambda: keys.update("theirs", {"organisation": "acme"}, acting=acting),
        lambda: keys.create(KeyDraft(name="global", role="admin"), acting=acting),
    ):
        with pytest.raises(Forbidden, match="acme"):
            attempt()
    assert keys.list("acme") == [keys.show("boss"), keys.show("ours")]


ROTATE = """
import sys
from datetime import timedelta
from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.store import KeyStore
from pilothouse.access.types import Actor
from pilothouse.core.clock import SystemClock
from pilothouse.core.storage.sql import Database
database = Database(sys.argv[1])
keys = KeyService(store=KeyStore(database), clock=SystemClock(), actor=Actor(name="child"))
keys.show("ci")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    print(keys.rotate("ci", grace=timedelta(days=1)).secret.reveal(), flush=True)
database.close()
"""


def test_two_processes_that_rotate_at_once(keys: KeyService, database: Database) -> None:
    keys.create(KeyDraft(name="ci"))
    url = database._url.render_as_string(hide_password=False)
    children = [
        subprocess.Popen([sys.executable, "-c", ROTATE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    made = [line for child in children for line in child.communicate()[0].split()]
    assert [child.returncode for child in children] == [0, 0]
    assert len(set(made)) == 10
    ring = keys.ring()
    entries = [ring.find(secret) for secret in made]
    assert all(entry is not None for entry in entries)
    assert len([entry for entry in entries if entry is not None and entry.expires_ns == 1 << 63]) == 1
    log = AuditService(store=AuditStore(database), clock=FixedClock(datetime.now().astimezone()), actor=Actor(name="x"))
    assert log.verify().rows == 11


def test_the_revision_grows_with_every_change(keys: KeyService, database: Database) -> None:
    assert keys.revision() == 0
    seen = [keys.create(KeyDraft(name="a")).key.revision, keys.create(KeyDraft(name="b")).key.revision]
    seen += [keys.rotate("a").key.revision, keys.update("b", {"team": "x"}).revision, keys.revoke("a").revision]
    assert seen == [1, 2, 3, 4, 5]
    assert keys.ring().revision == keys.revision() == 5
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(keys_table)).scalar() == 2


def test_a_secret_has_no_json_form() -> None:
    import msgspec

    with pytest.raises(TypeError):
        msgspec.json.encode(Secret("ph-x"))
