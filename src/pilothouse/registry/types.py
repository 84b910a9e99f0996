"""The nouns of the registry, and the way versions are written: `kind/name:3`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

import msgspec

from pilothouse.core.errors import UserError

Direction = Literal["both", "up", "down"]

NAME_LIMIT = 200
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_PREFIX = re.compile(r"[0-9a-f]{4,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REFERENCE = re.compile(r"(?P<kind>[^/]+)/(?P<name>[^:@#]+)(?:(?P<mark>[:@#])(?P<rest>.*))?", re.DOTALL)

FORMS = "kind/name, kind/name:3, kind/name@alias or kind/name#<start of the digest>"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable state of something that decides behaviour.

    Attributes:
        kind: What it is: ``flow``, ``dataset``, ``evaluator``.
        name: Its name, one line of versions.
        number: 1, 2, 3 within kind and name, without gaps.
        digest: SHA-256 of its content in hexadecimal.
        created_at: When it was first registered.
        actor: Who registered it.
        metadata: What the kind wants to remember; never part of the identity.
    """

    kind: str
    name: str
    number: int
    digest: str
    created_at: datetime
    actor: str
    metadata: dict[str, Any]

    @property
    def ref(self) -> str:
        """How the version is written: ``dataset/sms-spam:3``."""
        return f"{self.kind}/{self.name}:{self.number}"


class AliasChange(msgspec.Struct, frozen=True, kw_only=True):
    """One move of an alias.

    Attributes:
        kind: As of the version.
        name: As of the version.
        alias: The moving name, such as ``production``.
        number: The version it points at from now on; None when the alias was removed.
        previous: The version it pointed at before; None when it is new.
        changed_at: When.
        actor: Who moved it.
    """

    kind: str
    name: str
    alias: str
    number: int | None
    previous: int | None
    changed_at: datetime
    actor: str


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """The fact that ``source`` had a part in ``target``: content flows from source to target.

    Attributes:
        source: A version, as ``kind/name:number``.
        target: A version, as ``kind/name:number``.
        relation: The part it had: ``input``, ``produced``, ``evaluated_by``.
        created_at: When it was first stated.
    """

    source: str
    target: str
    relation: str
    created_at: datetime


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed reference; at most one of ``number``, ``alias`` and ``prefix`` is set, none means the latest version.

    Attributes:
        kind: As of the version.
        name: As of the version.
        number: From ``kind/name:3``.
        alias: From ``kind/name@alias``.
        prefix: From ``kind/name#<start of the digest>``.
    """

    kind: str
    name: str
    number: int | None = None
    alias: str | None = None
    prefix: str | None = None


def parse_reference(text: str) -> Reference:
    """Return the parts of a reference.

    Raises:
        UserError: when the text has none of the four forms.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UserError(f"{shown(text)} is not a reference to a version", expected=FORMS)
    kind, name, mark, rest = match["kind"], match["name"], match["mark"], match["rest"]
    check_name(kind, name)
    if mark == ":":
        if not _NUMBER.fullmatch(rest):
            raise UserError(f"{shown(rest)} is not a version number", where=shown(text), expected="1, 2, 3, ...")
        return Reference(kind=kind, name=name, number=int(rest))
    if mark == "@":
        check_alias(rest)
        return Reference(kind=kind, name=name, alias=rest)
    if mark == "#":
        if not _PREFIX.fullmatch(rest):
            raise UserError(
                f"{shown(rest)} is not the start of a digest",
                where=shown(text),
                expected="4 to 64 hexadecimal digits in lower case",
            )
        return Reference(kind=kind, name=name, prefix=rest)
    return Reference(kind=kind, name=name)


def check_name(kind: str, name: str) -> None:
    """Refuse a kind or a name that could not be written in a reference, a file name or a URL.

    Raises:
        UserError: saying what is allowed.
    """
    if not _KIND.fullmatch(kind):
        raise UserError(
            f"{shown(kind)} is not a kind of version",
            expected="1 to 40 lower-case letters, digits, _ -, a letter first",
        )
    if len(name) > NAME_LIMIT or ".." in name or not _NAME.fullmatch(name):
        raise UserError(
            f"{shown(name)} cannot be the name of a version",
            expected=f"up to {NAME_LIMIT} letters a-z A-Z, digits, . _ - and / between parts; no '..'",
        )


def check_alias(alias: str) -> None:
    """Refuse an alias that could not be written in a reference.

    Raises:
        UserError: saying what is allowed.
    """
    if not _ALIAS.fullmatch(alias):
        raise UserError(
            f"{shown(alias)} cannot be an alias", expected="1 to 64 letters a-z A-Z, digits, . _ -, a letter first"
        )


def check_relation(relation: str) -> None:
    """Refuse a relation that is not one plain word.

    Raises:
        UserError: saying what is allowed.
    """
    if not _KIND.fullmatch(relation):
        raise UserError(
            f"{shown(relation)} cannot be a relation",
            expected="1 to 40 lower-case letters, digits, _ -, a letter first",
        )


def check_digest(digest: str) -> None:
    """Refuse what is not a SHA-256 in hexadecimal.

    Raises:
        UserError: saying what is expected.
    """
    if not _DIGEST.fullmatch(digest):
        raise UserError(f"{shown(digest)} is not a digest", expected="64 hexadecimal digits in lower case")


def shown(text: str) -> str:
    """Return hostile text in a form that is safe to print: quoted, escaped, at most 80 characters."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")
