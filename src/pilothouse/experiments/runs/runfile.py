"""A run file: prompt flow's `run.yml`, with a few keys of ours; and its words on the command line, as `--set`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import fields as fields_of

from pilothouse.core.errors import ConfigError, UserError, nearest_hint
from pilothouse.core.structs import convert
from pilothouse.core.yaml import load_yaml, parse_yaml
from pilothouse.experiments.runs.types import Isolation, RunSpec
from pilothouse.flows.dag.variants import parse_variant
from pilothouse.flows.nodes.opening import INIT

_IGNORED = ("resources", "identity", "runtime", "properties", "command")

_MAPPINGS = ("column_mapping", "variants", "connections", "environment_variables", "tags", "init")

#: What `--set` reads as YAML scalars; everything else is text.
_TYPED = (
    "column_mapping",
    "connections",
    "init",
    "use_cache",
    "concurrency",
    "max_failures",
    "repeat",
    "timeout",
    "workers",
    "limit",
)


class _RunFile(Struct, kw_only=True, forbid_unknown_fields=True):
    schema: str | None = field(default=None, name="$schema")
    flow: str
    data: str | None = None
    run: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variant: str | None = None
    variants: dict[str, str] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment_variables: dict[str, Any] | str = field(default_factory=dict)
    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    init: dict[str, Any] | None = None
    resources: Any = None
    identity: Any = None
    runtime: Any = None
    properties: Any = None
    command: Any = None
    id_column: str | None = None
    use_cache: bool = True
    concurrency: int | None = None
    max_failures: int = 0
    repeat: int = 1
    timeout: float | None = None
    isolation: Isolation | None = None
    compute: str | None = None
    workers: int | None = None
    limit: int | None = None


def load_run_file(path: Path, root: Path) -> tuple[RunSpec, list[str]]:
    """Read a run file.

    Args:
        path: The file; paths in it are relative to its folder.
        root: The project's folder, to which the paths of the spec are relative.

    Returns:
        The spec, and what was ignored.

    Raises:
        ConfigError: for an unknown key (naming the nearest) or a wrong value, with file and line.
    """
    document = load_yaml(path)
    file = convert(document.data, _RunFile, where=document.where)
    variants = {**(parse_variants([file.variant]) if file.variant else {}), **file.variants}
    ignored = [key for key in _IGNORED if getattr(file, key) is not None]
    given = file.environment_variables
    spec = RunSpec(
        flow=within(root, path.parent / file.flow),
        data=_data(file.data, path.parent, root),
        id_column=file.id_column,
        source_run=file.run,
        column_mapping=file.column_mapping,
        variants=variants,
        connections={**file.connections, **({INIT: file.init} if file.init else {})},
        environment_variables={key: str(value) for key, value in given.items()} if isinstance(given, dict) else {},
        # A run's spec is recorded in the clear, so that a file of secrets is named there and not read into it.
        environment_file=within(root, path.parent / given) if isinstance(given, str) else None,
        name=file.name,
        display_name=file.display_name,
        description=file.description,
        tags={key: str(value) for key, value in file.tags.items()},
        use_cache=file.use_cache,
        concurrency=file.concurrency,
        max_failures=file.max_failures,
        repeat=file.repeat,
        timeout=file.timeout,
        isolation=file.isolation,
        compute=file.compute,
        workers=file.workers,
        limit=file.limit,
    )
    return spec, [f"'{key}' in {path.name} means nothing here and was ignored" for key in ignored]


def apply_settings(fields: dict[str, Any], texts: Sequence[str], folder: Path, root: Path) -> list[str]:
    """Write settings such as `column_mapping.x=${data.y}` or `limit=5` into the fields of a spec.

    Args:
        fields: The fields, changed in place.
        texts: Dotted keys of a run file and their values.
        folder: What paths are relative to.
        root: The project's folder.

    Returns:
        What was ignored.

    Raises:
        UserError: an unknown key (naming the nearest), or a key with parts too many or too few.
    """
    notes: list[str] = []
    for key, text in parse_pairs(texts, "--set").items():
        name, dot, part = key.partition(".")
        known = [field.encode_name for field in fields_of(_RunFile) if field.encode_name != "$schema"]
        if name not in known:
            raise UserError(f"a run has no setting '{name}'", where="--set", expected=nearest_hint(name, known))
        if bool(dot and part) != (name in _MAPPINGS) and name not in _IGNORED:
            wanted = f"{name}.KEY=VALUE" if name in _MAPPINGS else f"{name}=VALUE"
            raise UserError(f"'{key}={text}' cannot be set", where="--set", expected=wanted)
        if name in _IGNORED:
            notes.append(f"'{name}' means nothing here and was ignored")
        else:
            _set(fields, name, part, _scalar(text) if name in _TYPED else text, (folder, root))
    return notes


def _set(fields: dict[str, Any], name: str, part: str, value: Any, places: tuple[Path, Path]) -> None:
    """Write one setting of a run file where a spec has it."""
    folder, root = places
    if name == "connections":
        node, dot, parameter = part.partition(".")
        if not dot:
            raise UserError(f"'{part}' names no parameter", where="--set", expected="connections.NODE.PARAMETER=VALUE")
        _merge(fields, "connections", {node: {**fields.get("connections", {}).get(node, {}), parameter: value}})
    elif name == "init":
        _merge(fields, "connections", {INIT: {**fields.get("connections", {}).get(INIT, {}), part: value}})
    elif name == "variant":
        _merge(fields, "variants", parse_variants([value]))
    elif name in _MAPPINGS:
        _merge(fields, name, {part: value})
    elif name == "flow":
        fields["flow"] = within(root, folder / value)
    elif name == "data":
        fields["data"] = _data(value, folder, root)
    else:
        fields["source_run" if name == "run" else name] = value


def _merge(fields: dict[str, Any], name: str, more: dict[str, Any]) -> None:
    fields[name] = {**fields.get(name, {}), **more}


def _scalar(text: str) -> Any:
    """Return the value that a YAML file would give a text; what is a list or mapping only by accident stays text."""
    try:
        value: Any = parse_yaml(text, Path("--set")).data
    except ConfigError:
        return text
    is_accident = type(value) in (dict, list) and text[:1] not in "{["
    return text if is_accident else value


def parse_variants(texts: Sequence[str]) -> dict[str, str]:
    """Return node -> variant id of texts such as `${node.variant}`.

    Raises:
        UserError: for another text, or two variants of one node.
    """
    found: dict[str, str] = {}
    for text in texts:
        node, variant = parse_variant(text)
        if found.setdefault(node, variant) != variant:
            raise UserError(f"two variants are named for the node '{node}'", expected="one for each node")
    return found


def parse_pairs(texts: Sequence[str], what: str) -> dict[str, str]:
    """Return key -> value of texts such as `key=value`.

    Raises:
        UserError: for a text without an equals sign.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UserError(f"'{text}' is not a pair", where=what, expected="key=value")
        found[key.strip()] = value
    return found


def named(root: Path, path: Path) -> Path:
    """Return a path that a person typed: from here, or from the project's folder where only that exists."""
    return path if path.exists() or not (root / path).exists() else root / path


def within(root: Path, path: Path) -> str:
    """Return a path relative to the project where it lies inside, absolute elsewhere."""
    full, base = path.resolve(), root.resolve()
    return full.relative_to(base).as_posix() if full.is_relative_to(base) else str(full)


def _data(data: str | None, folder: Path, root: Path) -> str | None:
    if data is None or data.startswith("dataset:"):
        return data
    return within(root, folder / data)
