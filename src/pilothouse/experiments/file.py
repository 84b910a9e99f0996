"""The experiment file: YAML with line numbers, read strictly and checked against its flow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

from msgspec import Meta, Struct, field, structs

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.core.structs import convert
from pilothouse.core.yaml import Document, load_yaml
from pilothouse.evaluation.slices.types import SliceBy, Slicing
from pilothouse.evaluation.types import Direction, EvaluatorSpec
from pilothouse.experiments.rules import Gate, check_gate
from pilothouse.experiments.runs.runfile import within
from pilothouse.experiments.types import Design, EvaluatorUse, Experiment, Variant
from pilothouse.experiments.variants import Space, expand, find

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
DATASET = "dataset:"


class EvaluatorEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item of ``evaluators:``; see `EvaluatorSpec` and `EvaluatorUse`."""

    name: str | None = None
    use: str
    column_mapping: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    better: Direction | dict[str, Direction] = "higher"


class ExperimentFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an experiment file, as written; see `Experiment` for their meaning."""

    name: str
    description: str = ""
    flow: str
    data: str
    id_column: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variants: str | list[str] | dict[str, dict[str, str]] = "all"
    design: Design | None = None
    baseline: str | None = None
    evaluators: list[EvaluatorEntry]
    primary: str | None = None
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    resamples: Annotated[int, Meta(ge=100, le=1_000_000)] = 5000
    seed: Annotated[int, Meta(ge=0)] = 7
    concurrency: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    repeats: Annotated[int, Meta(ge=1, le=1000)] = 1
    slices: list[str | SliceBy] | Slicing | None = None
    gate: Gate | None = None


class Overrides(Struct, frozen=True, kw_only=True):
    """What a command line says on top of the file; None or empty leaves the file's word.

    Attributes:
        data: Another data source; a path is relative to ``folder``.
        column_mapping: Entries that replace or join the file's: ``input`` for the flow's, ``evaluator.argument`` for
            an evaluator's.
        limit: Only the first rows.
        folder: Where the command was typed.
    """

    data: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None
    folder: Path | None = None


def read_file(path: Path) -> tuple[ExperimentFile, Document]:
    """Read an experiment file without looking at its flow.

    Raises:
        NotFound: when there is no such file.
        ConfigError: for bad syntax, an unknown key (naming the nearest), or a value of the wrong kind.
    """
    document = _load(path)
    data: object = document.data
    if not isinstance(data, dict):
        raise ConfigError(
            "an experiment file is a mapping", where=document.where(), expected="name, flow, data, evaluators"
        )
    file = convert(cast("dict[str, Any]", data), ExperimentFile, where=document.where)
    _check_names(file, document)
    return file, document


def resolve(
    file: ExperimentFile, document: Document, space: Space, root: Path, overrides: Overrides | None = None
) -> Experiment:
    """Return the experiment that the file means for a flow with these variants.

    Args:
        file: The file, as `read_file` returns it.
        document: Its lines.
        space: The flow's nodes with variants and their variant ids, defaults first.
        root: The project's folder; paths inside it become relative to it.
        overrides: What the command line said.

    Raises:
        ConfigError: for an unknown node, variant or baseline, or a path that does not exist.
    """
    said = overrides or Overrides()
    own, theirs = _split_mapping(file, said)
    if file.design is not None and isinstance(file.variants, dict):
        raise ConfigError(
            "named variants are run as they stand: `design` has nothing to combine",
            where=document.where("design"),
            fix="remove `design`, or list the variants as '${node.variant}'",
        )
    arms = expand(space, file.variants, file.design or "grid", document.where)
    baseline = arms[0] if file.baseline is None else find(arms, file.baseline, space, document.where("baseline"))
    return Experiment(
        name=file.name,
        description=file.description,
        path=within(root, document.path),
        flow=flow_path(file, document, root),
        data=_data(file, document, root, said),
        # The user's own data need not have the column that names the rows of the file's.
        id_column=file.id_column if said.data is None else None,
        column_mapping={**file.column_mapping, **own},
        variants=arms,
        baseline=baseline.name,
        design=file.design or "grid",
        evaluators=_evaluators(file, document, root, theirs),
        primary=file.primary,
        alpha=file.alpha,
        resamples=file.resamples,
        seed=file.seed,
        concurrency=file.concurrency,
        repeats=file.repeats,
        limit=said.limit,
        slices=Slicing(by=tuple(file.slices)) if isinstance(file.slices, list) else file.slices,
        gate=_gate(file, document, arms, root),
    )


def flow_path(file: ExperimentFile, document: Document, root: Path) -> str:
    """Return the flow's path as `Experiment` holds it.

    Raises:
        ConfigError: when nothing is there.
    """
    return _existing(file.flow, document.path.parent, root, document.where("flow"), "a flow's folder or file")


def _gate(file: ExperimentFile, document: Document, arms: Sequence[Variant], root: Path) -> Gate | None:
    gate = file.gate
    if gate is None:
        return None
    check_gate(gate, partial(document.where, "gate"))
    names = [arm.name for arm in arms]
    if gate.variant is not None and gate.variant not in names:
        raise ConfigError(
            f"the gate judges the variant '{gate.variant}', which the experiment does not have",
            where=document.where("gate", "variant"),
            expected=nearest_hint(gate.variant, names),
        )
    if gate.baseline is not None and gate.baseline.endswith(".json"):
        # It need not exist yet: the first run of an experiment makes what is blessed.
        return structs.replace(gate, baseline=within(root, document.path.parent / gate.baseline))
    return gate


def _load(path: Path) -> Document:
    try:
        return load_yaml(path)
    except ConfigError as error:
        # `{text: ${data.text}}` is the commonest slip: braces inside braces end the mapping.
        if error.fix is None and _is_unquoted_reference(error.where):
            raise ConfigError(
                error.message, where=error.where, fix="put quotes around '${...}' where it stands inside { } or [ ]"
            ) from error
        raise


def _is_unquoted_reference(where: str | None) -> bool:
    file, _, line = (where or "").rpartition(":")
    if not file or not line.isdigit():
        return False
    lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    text = lines[int(line) - 1] if int(line) <= len(lines) else ""
    return re.search(r"[\[{,:]\s*\$\{", text) is not None


def _check_names(file: ExperimentFile, document: Document) -> None:
    allowed = "letters, digits, '.', '_', '-' and '+', at most 100"
    if not NAME.match(file.name):
        raise ConfigError(f"'{file.name}' cannot be a name", where=document.where("name"), expected=allowed)
    if isinstance(file.variants, dict):
        for name in file.variants:
            if not NAME.match(name):
                raise ConfigError(
                    f"'{name}' cannot be a name", where=document.where("variants", name), expected=allowed
                )
    if not file.evaluators:
        raise ConfigError(
            "the experiment has nothing to judge by",
            where=document.where("evaluators"),
            expected="evaluators: [{name: label, use: classification, column_mapping: {...}}]",
        )
    seen: dict[str, int] = {}
    for index, entry in enumerate(file.evaluators):
        name = entry.name or evaluator_name(entry.use)
        if not NAME.match(name):
            raise ConfigError(
                f"'{name}' cannot be a name", where=document.where("evaluators", index, "name"), expected=allowed
            )
        if seen.setdefault(name, index) != index:
            raise ConfigError(f"two evaluators are called '{name}'", where=document.where("evaluators", index, "name"))


def evaluator_name(use: str) -> str:
    """Return the name of an evaluator that was given none: the last part of what it uses."""
    return re.split(r"[/:]", use.rstrip("/"))[-1]


def _split_mapping(file: ExperimentFile, said: Overrides) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Part the overrides into those for the flow and those for evaluators, by their names."""
    names = [entry.name or evaluator_name(entry.use) for entry in file.evaluators]
    own: dict[str, Any] = {}
    theirs: dict[str, dict[str, Any]] = {}
    for key, value in said.column_mapping.items():
        name, dot, argument = key.rpartition(".")
        if not dot:
            own[key] = value
        elif name in names:
            theirs.setdefault(name, {})[argument] = value
        else:
            raise ConfigError(
                f"no evaluator is called '{name}'", where=f"--map {key}", expected=nearest_hint(name, names)
            )
    return own, theirs


def _evaluators(
    file: ExperimentFile, document: Document, root: Path, overrides: dict[str, dict[str, Any]]
) -> tuple[EvaluatorUse, ...]:
    uses: list[EvaluatorUse] = []
    for index, entry in enumerate(file.evaluators):
        where = document.where("evaluators", index, "use")
        spec = EvaluatorSpec(
            name=entry.name or evaluator_name(entry.use),
            source=_evaluator_source(entry.use, document.path.parent, root, where),
            options=entry.options,
            better=entry.better,
            where=where,
        )
        uses.append(EvaluatorUse(spec=spec, column_mapping={**entry.column_mapping, **overrides.get(spec.name, {})}))
    return tuple(uses)


def _evaluator_source(use: str, folder: Path, root: Path, where: str) -> str:
    """Return a built-in's name untouched; make the path of a file or a flow relative to the project."""
    file, separator, name = use.rpartition(":")
    if separator and file.endswith(".py"):
        return f"{_existing(file, folder, root, where, 'a Python file')}:{name}"
    if "/" in use or use.startswith("."):
        return _existing(use, folder, root, where, "a flow's folder, or path/to/file.py:Name")
    return use


def _data(file: ExperimentFile, document: Document, root: Path, said: Overrides) -> str:
    if said.data is not None:
        if said.data.startswith(DATASET):
            return said.data
        return _existing(
            said.data, said.folder or root, root, "--data", "a CSV, TSV, JSONL or Parquet file, or a folder"
        )
    if file.data.startswith(DATASET):
        return file.data
    where = document.where("data")
    return _existing(file.data, document.path.parent, root, where, "a data file or folder, or dataset:name")


def _existing(text: str, folder: Path, root: Path, where: str, expected: str) -> str:
    path = folder / Path(text).expanduser()
    if not path.exists():
        raise ConfigError(f"there is no '{text}' in {folder}", where=where, expected=expected)
    return within(root, path)
