"""Connections of prompt flow as files of ours: secrets stay where they are, references take their place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from msgspec import Struct, field

from pilothouse.core.environment import Environment, environment_names
from pilothouse.core.errors import Conflict, NotFound, UserError
from pilothouse.core.yaml import load_yaml
from pilothouse.experiments.migration.store import StoredConnection, read_stored
from pilothouse.models.connection_types import TYPES, ConnectionType, connection_type
from pilothouse.models.connections import ConnectionFolder, override_variable

_PREFIX: Final = "promptflow.connection."
_TEMPLATE_REFERENCE = re.compile(r"\$\{(?P<field>[A-Za-z0-9_]+)\}")
_BOOKKEEPING: Final = ("created_date", "last_modified_date", "expiry_time", "is_feedback", "id")
_FREE: Final = ("configs", "secrets")


class Draft(Struct, frozen=True, kw_only=True):
    """A connection that can be written.

    Attributes:
        name: Its name.
        type: Its type, in any spelling.
        values: Field -> text or reference, never a secret; ``configs.<key>`` and ``secrets.<key>`` for a free type.
        left_out: Fields that only prompt flow's own books need.
    """

    name: str
    type: str
    values: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


class Written(Struct, frozen=True, kw_only=True):
    """What became of one connection.

    Attributes:
        name: Its name.
        type: Its type.
        path: The file; None when it was not written.
        variables: The environment variables to set.
        reason: Why it was not written; empty when it was.
        exists: Whether a file of that name was there and was left alone.
        left_out: See `Draft`.
    """

    name: str
    type: str
    path: str | None = None
    variables: tuple[str, ...] = ()
    reason: str = ""
    exists: bool = False
    left_out: tuple[str, ...] = ()


def read_drafts(source: Path) -> list[Draft]:
    """Return the connections of a `pf.sqlite`, a folder of connection files, one file, or an `experiment.yaml`.

    Raises:
        NotFound: when nothing is there.
        UserError: for a file that is no such thing.
    """
    if source.is_dir():
        files = sorted((*source.glob("*.yaml"), *source.glob("*.yml")))
        if not files:
            raise NotFound("this folder holds no YAML files", where=str(source))
        return [draft for file in files for draft in _from_yaml(file)]
    if source.suffix in {".yaml", ".yml"}:
        return list(_from_yaml(source))
    secrets = {name for kind in TYPES.values() for name, rule in kind.fields.items() if rule.secret}
    return [_from_stored(item) for item in read_stored(source, sorted(secrets))]


def write_drafts(drafts: list[Draft], folder: Path) -> list[Written]:
    """Write each connection as a file of ``folder``; one that is there already is left alone.

    Raises:
        ConnectionFault: when a file that is there already cannot be read.
    """
    place = ConnectionFolder(folder, Environment({}))
    done: list[Written] = []
    for draft in drafts:
        try:
            path = place.add(draft.name, draft.type, draft.values)
        except Conflict as error:
            done.append(Written(name=draft.name, type=draft.type, reason=error.message, exists=True))
            continue
        except UserError as error:
            reason = f"{error.message} (expected: {error.expected})" if error.expected else error.message
            done.append(Written(name=draft.name, type=draft.type, reason=reason))
            continue
        spec = place.spec(draft.name)
        names = [name for text in spec.texts.values() for name in environment_names(text)]
        done.append(
            Written(
                name=draft.name,
                type=spec.type,
                path=str(path),
                variables=tuple(dict.fromkeys(names)),
                left_out=draft.left_out,
            )
        )
    return done


def _from_stored(stored: StoredConnection) -> Draft:
    kind = _known(stored.type)
    values: dict[str, str] = {}
    for item in stored.fields:
        key, section = item.key.removeprefix(_PREFIX), ""
        if kind is not None and kind.free and key not in kind.fields:
            section = "secrets." if item.secret else "configs."
        if item.secret:
            if not (kind is not None and _signs_in(stored) and key in kind.fields):
                values[f"{section}{key}"] = _reference(stored.name, key)
        elif item.value:
            values[f"{section}{key}"] = item.value
    return Draft(name=stored.name, type=stored.type, values=values)


def _signs_in(stored: StoredConnection) -> bool:
    return any(item.key == "auth_mode" and item.value == "meid_token" for item in stored.fields)


def _from_yaml(path: Path) -> Iterator[Draft]:
    document = load_yaml(path)
    if not isinstance(document.data, dict):
        raise UserError("this is no connection file", where=str(path), expected="name: ... type: ...")
    data = cast("dict[str, Any]", document.data)
    listed = data.get("connections")
    if isinstance(listed, list):
        for index, item in enumerate(cast("list[Any]", listed)):
            if not isinstance(item, dict):
                raise UserError("a connection is a mapping", where=document.where("connections", index))
            entry = cast("dict[str, Any]", item)
            yield _draft({**entry, "type": entry.get("connection_type", entry.get("type"))}, path.stem)
        return
    yield _draft(data, path.stem)


def _draft(data: Mapping[str, Any], stem: str) -> Draft:
    name, spelling = str(data.get("name") or stem), str(data.get("type") or "")
    kind = _known(spelling)
    values: dict[str, str] = {}
    left_out: list[str] = []
    for key, value in data.items():
        if key in {"name", "type", "connection_type", "$schema"} or value in (None, ""):
            continue
        if key in _BOOKKEEPING or (key == "module" and not (kind and kind.free)):
            left_out.append(key)
        elif key in _FREE and isinstance(value, dict):
            for inner, content in cast("dict[str, Any]", value).items():
                values[f"{key}.{inner}"] = _text(name, inner, content, is_secret=key == "secrets")
        else:
            is_secret = kind is None or (key in kind.fields and kind.fields[key].secret)
            values[key] = _text(name, key, value, is_secret=is_secret)
    return Draft(name=name, type=spelling, values=values, left_out=tuple(left_out))


def _text(connection: str, key: str, value: Any, *, is_secret: bool) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if environment_names(text):
        return text
    template = _TEMPLATE_REFERENCE.fullmatch(text)
    if template:
        return _reference(connection, template["field"])
    # What stands in the clear is passed over: it is neither shown nor written.
    return _reference(connection, key) if is_secret else text


def _reference(connection: str, key: str) -> str:
    return f"${{env:{override_variable(connection, key)}}}"


def _known(spelling: str) -> ConnectionType | None:
    try:
        return connection_type(spelling)
    except UserError:
        return None
