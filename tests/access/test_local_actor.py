"""Who types the command."""

from __future__ import annotations

import os
import pwd

import pytest

from pilothouse.access.service import local_actor
from pilothouse.access.types import Actor
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError


def test_the_systems_user_whatever_the_environment_claims() -> None:
    actor = local_actor(Environment({"USER": "somebody else", "LOGNAME": "somebody else"}))
    assert actor == Actor(name=pwd.getpwuid(os.getuid()).pw_name, kind="person")


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)
    assert local_actor(Environment({})).name == "uid-4000000001"


@pytest.mark.parametrize(
    ("value", "actor"),
    [
        ("ada", Actor(name="ada", kind="person")),
        (" Ada Lovelace ", Actor(name="Ada Lovelace", kind="person")),
        ("zoë@example.org", Actor(name="zoë@example.org", kind="person")),
        ("service:nightly", Actor(name="nightly", kind="service")),
        ("", Actor(name=pwd.getpwuid(os.getuid()).pw_name, kind="person")),
    ],
)
def test_the_variable_names_the_actor(value: str, actor: Actor) -> None:
    assert local_actor(Environment({"PILOTHOUSE_ACTOR": value})) == actor


@pytest.mark.parametrize("hostile", ["service:", "a\nb", "x" * 101, "\x1b[31mred", "-rf", "a/../b"])
def test_what_is_no_name_is_refused(hostile: str) -> None:
    with pytest.raises(ConfigError, match="is not a name") as caught:
        local_actor(Environment({"PILOTHOUSE_ACTOR": hostile}))
    assert "PILOTHOUSE_ACTOR" in str(caught.value)
    assert "\x1b" not in str(caught.value)
