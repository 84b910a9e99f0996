"""Connections: YAML files that name a provider and refer to its key; the key itself stands elsewhere.

A value comes, in this order, from the environment variable ``<CONNECTION>_<FIELD>``, from the file (with
``${env:NAME}`` and ``${file:path}`` resolved at each use, never stored) and from the type's default. A secret written
in the clear is refused: such files end up in version control.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml
from msgspec import Struct

from pilothouse.core.environment import Environment, environment_names
from pilothouse.core.errors import Conflict, ConnectionFault, UserError, nearest_hint
from pilothouse.core.storage.files import write_atomic
from pilothouse.core.yaml import Document, load_yaml, parse_yaml
from pilothouse.models.connection_types import TYPES, ConnectionType, Field, connection_type
from pilothouse.models.secret import Secret
from pilothouse.models.types import Connection

BUILT_IN: Final = ("local", "scripted")
"""Types that need no key: a connection of their name exists without a file."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FILE_REFERENCE = re.compile(r"\$\{file:(?P<path>[^}]+)\}")
_PLACEHOLDER = re.compile(r"<[^<>]*>|\*{3,}|to_replace_with_.*", re.IGNORECASE)
_IGNORED = ("$schema", "name", "type")
_FREE = ("configs", "secrets")

Source = Literal["environment", "file", "default", "missing"]


class FieldState(Struct, frozen=True, kw_only=True):
    """One field of a connection as it stands, without its secret.

    Attributes:
        key: The field.
        secret: Whether its value is hidden.
        text: What the file says, or the default that holds; empty for a secret that stands there in the clear.
        override: The environment variable that would win.
        variables: The environment variables it refers to, and whether each is set.
        source: Where the value comes from now.
        where: ``file:line``.
    """

    key: str
    secret: bool
    text: str
    override: str
    variables: dict[str, bool]
    source: Source
    where: str


def override_variable(connection: str, key: str) -> str:
    """Return the environment variable that wins over the file for the field ``key`` of ``connection``."""
    return re.sub(r"[^A-Za-z0-9]", "_", f"{connection}_{key}").upper()


class ConnectionSpec(Struct, frozen=True, kw_only=True):
    """A connection as its file says, unresolved.

    Attributes:
        name: The name flows use.
        kind: Its type.
        texts: What the file says, field by field; the keys of a custom connection included.
        hidden: The keys that are secret.
        lines: ``file:line`` of each field.
        where: The file; empty for a built-in connection.
        folder: Where ``${file:...}`` starts from.
    """

    name: str
    kind: ConnectionType
    texts: dict[str, str]
    hidden: frozenset[str]
    lines: dict[str, str]
    where: str
    folder: Path

    @property
    def type(self) -> str:
        """The type's name."""
        return self.kind.name

    def override(self, key: str) -> str:
        """Return the environment variable that wins over the file for ``key``."""
        return override_variable(self.name, key)


class ConnectionFolder:
    """The connection files of one project.

    Args:
        folder: Where they lie; it need not exist.
        environment: What references are resolved against; it may be exchanged.
    """

    def __init__(self, folder: Path, environment: Environment) -> None:
        self._folder = folder
        self.environment = environment

    def all(self) -> list[ConnectionSpec]:
        """Return every connection by name, the built-in ones included.

        Raises:
            ConnectionFault: for a file that cannot be accepted.
            Conflict: when two files claim one name.
        """
        found: dict[str, ConnectionSpec] = {}
        for path in sorted((*self._folder.glob("*.yaml"), *self._folder.glob("*.yml"))):
            spec = _read(load_yaml(path), path)
            other = found.setdefault(spec.name, spec)
            if other is not spec:
                raise Conflict(f"the connection '{spec.name}' stands in {other.where} too", where=spec.where)
        for name in BUILT_IN:
            found.setdefault(name, _built_in(name, self._folder))
        return [found[name] for name in sorted(found)]

    def spec(self, name: str) -> ConnectionSpec:
        """Return one connection, unresolved.

        Raises:
            ConnectionFault: when there is none of this name.
        """
        specs = {spec.name: spec for spec in self.all()}
        if name not in specs:
            raise ConnectionFault(
                f"there is no connection '{name}'",
                where=str(self._folder),
                expected=nearest_hint(name, specs),
                fix=f"pilothouse connection add {name} --type TYPE",
            )
        return specs[name]

    def resolve(self, name: str) -> Connection:
        """Return one connection with its values.

        Raises:
            ConnectionFault: for a missing key (naming the environment variable to set), a secret in the clear, a
                value that is not allowed.
        """
        spec = self.spec(name)
        fields = {**dict.fromkeys(spec.texts, Field()), **spec.kind.fields}
        values = {key: self._value(spec, key) for key in fields}
        given = {key: value or fields[key].default for key, value in values.items()}
        for key, rule in spec.kind.fields.items():
            _check(spec, key, rule, given)
        return Connection(
            name=name,
            type=spec.type,
            configs={key: value for key, value in given.items() if value and key not in spec.hidden},
            secrets={key: Secret(value) for key, value in given.items() if value and key in spec.hidden},
            where=spec.where,
        )

    def states(self, name: str) -> list[FieldState]:
        """Return how each field of a connection stands, without reading any secret."""
        spec = self.spec(name)
        keys = dict.fromkeys((*spec.kind.fields, *spec.texts))
        return [self._state(spec, key) for key in keys]

    def add(self, name: str, kind: str, values: dict[str, str], *, replace: bool = False) -> Path:
        """Write a connection file; a required secret that is not given refers to its override variable.

        Args:
            name: The name flows will use.
            kind: The type, in any spelling.
            values: Field to text; for a custom type also ``configs.<key>`` and ``secrets.<key>``.
            replace: Write over the file of a connection that exists.

        Raises:
            Conflict: when the name is taken.
            ConnectionFault: for an unknown type or field, or a secret in the clear.
        """
        if not _NAME.fullmatch(name):
            raise ConnectionFault(f"'{name}' cannot be a name", expected="letters, digits, '_', '-', '.'")
        taken = {spec.name: spec for spec in self.all()}
        known = taken[name].where if name in taken else ""
        if known and not replace:
            raise Conflict(
                f"the connection '{name}' exists",
                where=known,
                fix=f"pilothouse connection update {name} --set FIELD=VALUE",
            )
        chosen = connection_type(kind)
        path = Path(known) if known else self._folder / f"{name}.yaml"
        content: dict[str, Any] = {"name": name, "type": chosen.name}
        for key, text in values.items():
            section, dot, inner = key.partition(".")
            if chosen.free and dot and section in _FREE:
                content.setdefault(section, {})[inner] = text
            else:
                content[key] = text
        draft = _read(parse_yaml(yaml.safe_dump(content), path), path)
        given = {key: draft.texts.get(key) or rule.default for key, rule in chosen.fields.items()}
        for key, rule in chosen.fields.items():
            if rule.required and rule.secret and key not in values and not _excused(draft, rule, given):
                content[key] = f"${{env:{draft.override(key)}}}"
        for key in draft.hidden & set(draft.texts):
            _refuse_clear(draft, key)
        write_atomic(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
        return path

    def _value(self, spec: ConnectionSpec, key: str) -> str:
        override = self.environment.get(spec.override(key), "").strip()
        text = spec.texts.get(key, "")
        if key in spec.hidden:
            _refuse_clear(spec, key)
        if override:
            return override
        if is_blank(text):
            return ""
        for variable in environment_names(text):
            if not self.environment.get(variable):
                raise _missing(spec, key, variable)
        file = _FILE_REFERENCE.fullmatch(text)
        return _read_value(spec, key, file["path"]) if file else self.environment.expand(text).strip()

    def _state(self, spec: ConnectionSpec, key: str) -> FieldState:
        text = spec.texts.get(key, "")
        override = spec.override(key)
        variables = {name: bool(self.environment.get(name)) for name in environment_names(text)}
        source: Source = "missing"
        if self.environment.get(override):
            source = "environment"
        elif not is_blank(text) and all(variables.values()):
            source = "file"
        elif key in spec.kind.fields and spec.kind.fields[key].default:
            source, text = "default", spec.kind.fields[key].default
        hidden = key in spec.hidden
        return FieldState(
            key=key,
            secret=hidden,
            text=text if not hidden or is_reference(text) else "",
            override=override,
            variables=variables,
            source=source,
            where=spec.lines.get(key, spec.where),
        )


def read_connection(path: Path) -> ConnectionSpec:
    """Read one connection file, unresolved; no secret in it is looked up.

    Raises:
        ConfigError: when it is not YAML.
        ConnectionFault: for an unknown type or field, or a secret that stands in the clear.
    """
    spec = _read(load_yaml(path), path)
    for key in sorted(spec.hidden & set(spec.texts)):
        _refuse_clear(spec, key)
    return spec


def _read(document: Document, path: Path) -> ConnectionSpec:
    if not isinstance(document.data, dict):
        raise ConnectionFault("a connection file is a mapping", where=document.where(), expected="name: ... type: ...")
    data = cast("dict[str, Any]", document.data)
    if not isinstance(data.get("type"), str):
        raise ConnectionFault(
            "a connection needs a type", where=document.where("type"), expected=f"type: {' | '.join(TYPES)}"
        )
    kind = connection_type(data["type"], document.where("type"))
    known = (*_IGNORED, *kind.fields, *(_FREE if kind.free else ()))
    texts: dict[str, str] = {}
    lines: dict[str, str] = {}
    for key, value in data.items():
        if key not in known:
            raise ConnectionFault(
                f"a connection of type {kind.name} has no field '{key}'",
                where=document.where(key),
                expected=nearest_hint(key, known),
            )
        if key in _FREE:
            for inner, content in _mapping(value, document.where(key)).items():
                texts[inner] = _text(content, document.where(key, inner))
                lines[inner] = document.where(key, inner)
        elif key not in _IGNORED:
            texts[key] = _text(value, document.where(key))
            lines[key] = document.where(key)
    secrets = _mapping(data.get("secrets"), document.where("secrets")) if kind.free else {}
    return ConnectionSpec(
        name=_text(data.get("name"), document.where("name")) or path.stem,
        kind=kind,
        texts=texts,
        hidden=frozenset((*secrets, *(key for key, rule in kind.fields.items() if rule.secret))),
        lines=lines,
        where=str(path),
        folder=path.parent,
    )


def _built_in(name: str, folder: Path) -> ConnectionSpec:
    return ConnectionSpec(name=name, kind=TYPES[name], texts={}, hidden=frozenset(), lines={}, where="", folder=folder)


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConnectionFault("a mapping must stand here", where=where, expected="key: value")
    return {str(key): item for key, item in cast("dict[object, Any]", value).items()}


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ConnectionFault("a text must stand here", where=where, expected="one value, not a list or mapping")


def is_blank(text: str) -> bool:
    """Tell whether a text stands for nothing: empty, or a placeholder such as ``<user-input>``."""
    return not text.strip() or _PLACEHOLDER.fullmatch(text.strip()) is not None


def is_reference(text: str) -> bool:
    """Tell whether a text refers to where its value stands."""
    return bool(environment_names(text)) or _FILE_REFERENCE.fullmatch(text) is not None


def clear_secrets(path: Path) -> tuple[str, ...]:
    """Return the secrets that stand in the clear in a file; none where it is no connection's file."""
    try:
        spec = _read(load_yaml(path), path)
    except UserError:
        return ()
    return tuple(key for key in sorted(spec.hidden & set(spec.texts)) if _is_clear(spec, key))


def _is_clear(spec: ConnectionSpec, key: str) -> bool:
    text = spec.texts.get(key, "")
    return not is_blank(text) and not is_reference(text)


def _refuse_clear(spec: ConnectionSpec, key: str) -> None:
    if not _is_clear(spec, key):
        return
    raise ConnectionFault(
        f"the secret '{key}' of the connection '{spec.name}' stands in the clear",
        where=spec.lines.get(key, spec.where),
        expected=f"{key}: ${{env:{spec.override(key)}}} or ${{file:path}}",
        fix=f"put the value into the environment or .env as {spec.override(key)}=..., the reference into the file; "
        "if the file was ever shared, replace the key at the provider",
    )


def _check(spec: ConnectionSpec, key: str, rule: Field, given: dict[str, str]) -> None:
    value = given[key]
    if value and rule.choices and value not in rule.choices:
        raise ConnectionFault(
            f"'{value}' is not a value of '{key}'",
            where=spec.lines.get(key, spec.where),
            expected=nearest_hint(value, rule.choices),
        )
    if rule.required and not value and not _excused(spec, rule, given):
        raise _missing(spec, key, spec.override(key))


def _excused(spec: ConnectionSpec, rule: Field, given: dict[str, str]) -> bool:
    other, equals, value = rule.unless.partition("=")
    if not other:
        return False
    return given[other] in value.split("|") if equals else given[other] != spec.kind.fields[other].default


def _missing(spec: ConnectionSpec, key: str, variable: str) -> ConnectionFault:
    where = spec.lines.get(key, spec.where)
    names = variable if variable == spec.override(key) else f"{variable} (or {spec.override(key)})"
    reason = "it is empty" if not spec.texts.get(key) else "the environment variable is not set"
    return ConnectionFault(
        f"the connection '{spec.name}' has no '{key}': {reason if key in spec.texts else 'the field is missing'}",
        where=where or None,
        expected=f"the environment variable {names}",
        fix=f"export {variable}=... or write {variable}=... into .env",
    )


def _read_value(spec: ConnectionSpec, key: str, name: str) -> str:
    path = spec.folder / Path(name.strip()).expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConnectionFault(
            f"the file that holds '{key}' of the connection '{spec.name}' cannot be read: {path}",
            where=spec.lines.get(key, spec.where),
            fix="write the value into that file, or refer to another one",
        ) from error
