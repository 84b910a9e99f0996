from __future__ import annotations

import pickle
import traceback

import msgspec
import pytest

from pilothouse.models.secret import Secret, redact
from pilothouse.models.types import Connection


def test_a_secret_prints_as_stars_wherever_it_goes() -> None:
    secret = Secret("hunter2-hunter2")
    connection = Connection(name="c", type="open_ai", secrets={"api_key": secret})
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!s:>20}".strip(),
        repr(connection),
        str({1: secret}),
    ):
        assert "hunter2" not in shown
        assert "***" in shown


def test_a_secret_cannot_be_serialised() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode({"key": Secret("hunter2-hunter2")})
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter2-hunter2"))


def test_a_secret_does_not_stand_in_a_traceback() -> None:
    def use(secret: Secret) -> None:
        raise ValueError(f"bad key {secret}")

    with pytest.raises(ValueError, match=r"bad key \*\*\*") as caught:
        use(Secret("hunter2-hunter2"))
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "secret = ***" in told


def test_secrets_are_equal_by_value_and_never_to_a_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


def test_redaction_replaces_the_longest_secret_first() -> None:
    secrets = [Secret("abcdef"), Secret("abcdefgh"), Secret("no")]
    assert redact("x abcdefgh y abcdef no", secrets) == "x *** y *** no"


def test_identity_holds_no_secret() -> None:
    connection = Connection(
        name="c", type="open_ai", configs={"base_url": "u"}, secrets={"api_key": Secret("hunter2-hunter2")}
    )
    assert connection.identity() == {"name": "c", "type": "open_ai", "base_url": "u"}
