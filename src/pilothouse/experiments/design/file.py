"""The experiment file: YAML with line numbers, read strictly and checked against its flow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct, field, structs

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.core.structs import convert
from pilothouse.core.yaml import Document, Key, load_yaml
from pilothouse.datasets.composite import COLUMN, Part, text_of
from pilothouse.evaluation.sequential.types import Sequential
from pilothouse.evaluation.slices.types import SliceBy, Slicing
from pilothouse.evaluation.types import Direction, EvaluatorSpec
from pilothouse.experiments.design.axes import Axis
from pilothouse.experiments.design.candidates import Candidate
from pilothouse.experiments.design.layers import Layers
from pilothouse.experiments.design.levels import read_axes
from pilothouse.experiments.design.sequential import check_sequential
from pilothouse.experiments.design.variants import Sample, Space, expand, find
from pilothouse.experiments.rules import Gate, check_gate
from pilothouse.experiments.runs.compute.types import check_compute
from pilothouse.experiments.runs.runfile import within
from pilothouse.experiments.settings import Alpha, Concurrency, ExperimentDefaults, Repeats, Resamples, Seed
from pilothouse.experiments.types import Design, EvaluatorUse, Experiment, Variant

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
    """The keys of an experiment file, as written; see `Experiment` for their meaning.

    Attributes:
        extends: Another experiment file, which says what this one does not; see `Layers`.
        datasets: Several datasets by name, in place of ``data``.
        axes: What is varied beside the variants; see `read_axes`.
        sample: How arms are drawn, for the design ``sample``.
    """

    extends: str | None = None
    name: str
    description: str = ""
    flow: str
    data: str | None = None
    datasets: dict[str, str | Part] = field(default_factory=dict[str, "str | Part"])
    id_column: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    variants: str | list[str] | dict[str, dict[str, Any]] = "all"
    axes: dict[str, list[Any] | dict[str, Any]] = field(default_factory=dict[str, "list[Any] | dict[str, Any]"])
    design: Design | None = None
    sample: Sample | None = None
    baseline: str | None = None
    evaluators: list[EvaluatorEntry]
    cluster: Annotated[str, Meta(min_length=1)] | None = None
    primary: str | None = None
    alpha: Alpha = 0.05
    resamples: Resamples = 5000
    seed: Seed = 7
    concurrency: Concurrency | None = None
    repeats: Repeats = 1
    compute: str | None = None
    workers: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    slices: list[str | SliceBy] | Slicing | None = None
    gate: Gate | None = None
    sequential: Sequential | None = None


class Overrides(Struct, frozen=True, kw_only=True):
    """What a command line says on top of the file; None or empty leaves the file's word.

    Attributes:
        data: Another data source; a path is relative to ``folder``.
        column_mapping: Entries that replace or join the file's: ``input`` for the flow's, ``evaluator.argument`` for
            an evaluator's.
        limit: Only the first rows.
        folder: Where the command was typed.
        candidates: Models that take the place of the file's variants, axes and gate; the first is the baseline.
        candidate_nodes: Nodes whose model is exchanged; every node that asks one when empty.
        compute: Where rows are computed.
        workers: Worker processes.
    """

    data: str | None = None
    column_mapping: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None
    folder: Path | None = None
    candidates: tuple[Candidate, ...] = ()
    candidate_nodes: tuple[str, ...] = ()
    compute: str | None = None
    workers: int | None = None


def read_file(path: Path, defaults: ExperimentDefaults | None = None) -> tuple[ExperimentFile, Layers]:
    """Read an experiment file, and those it extends, without looking at its flow.

    Args:
        path: The file.
        defaults: What holds where the file says nothing.

    Raises:
        NotFound: when there is no such file.
        ConfigError: for bad syntax, an unknown key (naming the nearest), or a value of the wrong kind.
    """
    document = Layers.read(path, _load)
    return read_document(document, defaults), document


def read_document(document: Layers, defaults: ExperimentDefaults | None = None) -> ExperimentFile:
    """Read an experiment that is written down as a file's text is, wherever it stands.

    Raises:
        ConfigError: as `read_file`.
    """
    data: object = document.data
    if not isinstance(data, dict):
        raise ConfigError(
            "an experiment file is a mapping", where=document.where(), expected="name, flow, data, evaluators"
        )
    assumed: dict[str, Any] = msgspec.to_builtins(defaults) if defaults is not None else {}
    file = convert({**assumed, **cast("dict[str, Any]", data)}, ExperimentFile, where=document.where)
    if (file.data is None) == (not file.datasets):
        raise ConfigError(
            "the experiment names no rows" if file.data is None else "`data` and `datasets` cannot both name the rows",
            where=document.where("data"),
            expected="data: FILE, or datasets: {NAME: FILE, ...}",
        )
    _check_names(file, document)
    return file


def resolve(
    file: ExperimentFile, document: Layers, space: Space, root: Path, overrides: Overrides | None = None
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
    _check_design(file, document)
    axes = read_axes(file.axes, document.where)
    arms = expand(space, file.variants, file.design or "grid", document.where, axes, file.sample)
    baseline = arms[0] if file.baseline is None else find(arms, file.baseline, space, document.where("baseline"))
    return Experiment(
        name=file.name,
        description=file.description,
        path=within(root, document.path),
        flow=flow_path(file, document, root),
        data=_data(file, document, root, said),
        datasets=tuple(file.datasets) if said.data is None else (),
        # The user's own data need not have the column that names the rows of the file's.
        id_column=file.id_column if said.data is None else None,
        column_mapping={**file.column_mapping, **own},
        variants=arms,
        baseline=baseline.name,
        design=file.design or "grid",
        evaluators=_evaluators(file, document, root, theirs),
        cluster=file.cluster,
        primary=file.primary,
        alpha=file.alpha,
        resamples=file.resamples,
        seed=file.seed,
        concurrency=file.concurrency,
        repeats=file.repeats,
        # Of several datasets, the first rows of each are meant.
        limit=None if file.datasets and said.data is None else said.limit,
        compute=_compute(file, document, said),
        workers=said.workers or file.workers,
        slices=_slices(file, said),
        gate=_gate(file, document, arms, root),
        sequential=_sequential(file, document, arms),
    )


def _check_design(file: ExperimentFile, document: Layers) -> None:
    if file.design is not None and isinstance(file.variants, dict) and not file.axes:
        raise ConfigError(
            "named variants are run as they stand: `design` has nothing to combine",
            where=document.where("design"),
            fix="remove `design`, or list the variants as '${node.variant}'",
        )
    if file.sample is not None and file.design != "sample":
        raise ConfigError(
            "`sample` says how arms are drawn, but the design draws none",
            where=document.where("sample"),
            fix="write `design: sample`, or remove `sample`",
        )


def flow_path(file: ExperimentFile, document: Layers, root: Path) -> str:
    """Return the flow's path as `Experiment` holds it.

    Raises:
        ConfigError: when nothing is there.
    """
    return _existing(file.flow, document.folder("flow"), root, document.where("flow"), "a flow's folder or file")


def of_candidates(file: ExperimentFile, named: dict[str, dict[str, Any]]) -> ExperimentFile:
    """Return the file with candidates in place of its variants: an experiment of another name, without a gate."""
    return structs.replace(
        file,
        name=f"{file.name}-models",
        variants=named,
        axes={},
        design=None,
        sample=None,
        baseline=None,
        gate=None,
    )


def where_set(file: ExperimentFile, document: Layers, path: str, value: Any) -> str:
    """Return ``file:line`` of what gives a setting a value."""
    for axis in read_axes(file.axes, document.where):
        for place, level in enumerate(axis.levels):
            if level.settings.get(path) == value and path in level.settings:
                return document.where(*axis.keys, *_at(axis, place, path))
        if path in axis.paths:
            return document.where(*axis.keys)
    if isinstance(file.variants, dict):
        for name, content in file.variants.items():
            if path in content and content[path] == value:
                return document.where("variants", name, path)
    return document.where("variants")


def _at(axis: Axis, place: int, path: str) -> tuple[Key, ...]:
    """Return where a level stands below its axis: a list has places, a mapping has names."""
    return (place,) if axis.name == path else (axis.levels[place].name, path)


def _slices(file: ExperimentFile, said: Overrides) -> Slicing | None:
    """Return the slices of the file; several datasets are slices of their own accord."""
    slicing = Slicing(by=tuple(file.slices)) if isinstance(file.slices, list) else file.slices
    if not file.datasets or said.data is not None or file.sequential is not None:
        return slicing
    if slicing is None:
        return Slicing(by=(COLUMN,))
    return slicing if COLUMN in slicing.by else structs.replace(slicing, by=(*slicing.by, COLUMN))


def _compute(file: ExperimentFile, document: Layers, said: Overrides) -> str | None:
    if said.compute is not None:
        return check_compute(said.compute, "--compute")
    return check_compute(file.compute, document.where("compute")) if file.compute is not None else None


def _gate(file: ExperimentFile, document: Layers, arms: Sequence[Variant], root: Path) -> Gate | None:
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
        return structs.replace(gate, baseline=within(root, document.folder("gate", "baseline") / gate.baseline))
    return gate


def _sequential(file: ExperimentFile, document: Layers, arms: Sequence[Variant]) -> Sequential | None:
    return check_sequential(file.sequential, arms, {"slices": file.slices, "gate": file.gate}, document.where)


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


def _check_names(file: ExperimentFile, document: Layers) -> None:
    allowed = "letters, digits, '.', '_', '-' and '+', at most 100"
    if not NAME.match(file.name):
        raise ConfigError(f"'{file.name}' cannot be a name", where=document.where("name"), expected=allowed)
    if isinstance(file.variants, dict):
        for name in file.variants:
            if not NAME.match(name):
                raise ConfigError(
                    f"'{name}' cannot be a name", where=document.where("variants", name), expected=allowed
                )
    for name in file.datasets:
        if not NAME.match(name):
            raise ConfigError(f"'{name}' cannot be a name", where=document.where("datasets", name), expected=allowed)
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
    file: ExperimentFile, document: Layers, root: Path, overrides: dict[str, dict[str, Any]]
) -> tuple[EvaluatorUse, ...]:
    uses: list[EvaluatorUse] = []
    for index, entry in enumerate(file.evaluators):
        where = document.where("evaluators", index, "use")
        spec = EvaluatorSpec(
            name=entry.name or evaluator_name(entry.use),
            source=_evaluator_source(entry.use, document.folder("evaluators"), root, where),
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


def _data(file: ExperimentFile, document: Layers, root: Path, said: Overrides) -> str:
    if said.data is not None:
        if said.data.startswith(DATASET):
            return said.data
        return _existing(
            said.data, said.folder or root, root, "--data", "a CSV, TSV, JSONL or Parquet file, or a folder"
        )
    if file.data is None:
        parts = file.datasets.items()
        return text_of({name: _part(item, ("datasets", name), document, root, said) for name, item in parts})
    if file.data.startswith(DATASET):
        return file.data
    where = document.where("data")
    return _existing(file.data, document.folder("data"), root, where, "a data file or folder, or dataset:name")


def _part(entry: str | Part, keys: tuple[Key, ...], document: Layers, root: Path, said: Overrides) -> Part:
    part = Part(data=entry) if isinstance(entry, str) else entry
    limits = [limit for limit in (part.limit, said.limit) if limit is not None]
    if not isinstance(entry, str):
        keys = (*keys, "data")
    data = part.data
    if not data.startswith(DATASET):
        data = _existing(
            data, document.folder(*keys), root, document.where(*keys), "a data file or folder, or dataset:name"
        )
    return structs.replace(part, data=data, limit=min(limits) if limits else None)


def _existing(text: str, folder: Path, root: Path, where: str, expected: str) -> str:
    path = folder / Path(text).expanduser()
    if not path.exists():
        raise ConfigError(f"there is no '{text}' in {folder}", where=where, expected=expected)
    return within(root, path)
