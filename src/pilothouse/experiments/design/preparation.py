"""What an experiment file means here and now: its flow, data, evaluators and arms, read and checked before any call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from msgspec import Struct, field

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConfigError, Conflict, ConnectionFault, nearest_hint
from pilothouse.core.services import Services
from pilothouse.datasets.mapping import ColumnMapping, default_mapping
from pilothouse.datasets.service import DatasetService
from pilothouse.datasets.source import DatasetSource
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.sequential.watching import check_metric
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.experiments.analysis.parts import check_slices
from pilothouse.experiments.design.axes import identity
from pilothouse.experiments.design.candidates import variants_of
from pilothouse.experiments.design.file import (
    ExperimentFile,
    Overrides,
    flow_path,
    of_candidates,
    read_file,
    resolve,
    where_set,
)
from pilothouse.experiments.design.layers import Layers
from pilothouse.experiments.design.settings import Placed, applied, check_setting, placed
from pilothouse.experiments.design.variants import Space
from pilothouse.experiments.rules import is_measured
from pilothouse.experiments.runs.engine.sampling import places_of
from pilothouse.experiments.runs.types import RowSample, Run
from pilothouse.experiments.scoring import SOURCES, Judge
from pilothouse.experiments.settings import ExperimentDefaults, ExperimentSettings
from pilothouse.experiments.types import Experiment, Variant
from pilothouse.flows.dag.variants import chosen
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService


class PreparedArm(Struct, frozen=True, kw_only=True):
    """One arm, ready to run.

    Attributes:
        variant: The variant.
        flow: The flow with the variant and its settings in place.
        placed: Its settings, as a run takes them.
        mapping: Flow input -> ``${data.x}`` or a literal.
        key: Digest of all that decides the arm's rows: flow, settings, connections, data, mapping, repeats.
    """

    variant: Variant
    flow: Flow
    placed: Placed = Placed()
    mapping: dict[str, Any] = field(default_factory=dict)
    key: str


class Prepared(Struct, frozen=True, kw_only=True):
    """A checked experiment.

    Attributes:
        experiment: What was asked.
        arms: In the order they run.
        data: The rows.
        judges: The evaluators with their mappings.
        rows: Rows of the data that will be used, repeats not counted.
        digest: Of everything that decides what the experiment finds.
    """

    experiment: Experiment
    arms: tuple[PreparedArm, ...]
    data: DatasetSource
    judges: tuple[Judge, ...]
    rows: int
    digest: str


class Preparer:
    """Makes experiments ready.

    Args:
        root: The project's folder.
        datasets: Opens data.
        models: Knows connections.
        evaluation: Loads evaluators.
        defaults: What holds in every file that does not say otherwise.

    Attributes:
        models: As above.
    """

    def __init__(
        self,
        root: Path,
        datasets: DatasetService,
        models: ModelService,
        evaluation: EvaluationService,
        defaults: ExperimentDefaults | None = None,
    ) -> None:
        self._defaults = defaults
        self._root = root
        self._datasets = datasets
        self.models = models
        self._evaluation = evaluation

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the preparer of a project."""
        return cls(
            services.root,
            services.get(DatasetService),
            services.get(ModelService),
            services.get(EvaluationService),
            services.settings.section(ExperimentSettings).defaults,
        )

    def prepare(self, path: Path, overrides: Overrides | None = None) -> Prepared:
        """Read and check everything; nothing is written and no model is called.

        Raises:
            UserError: the file, the flow, the data, a mapping or an evaluator cannot be used; with file and line.
        """
        file, document = read_file(path, self._defaults)
        return self.prepare_written(file, document, overrides)

    def prepare_written(
        self, file: ExperimentFile, document: Layers, overrides: Overrides | None = None, live: Flow | None = None
    ) -> Prepared:
        """Check an experiment that was read; ``live`` is the flow, where it lives in this process.

        Raises:
            UserError: as `prepare`.
        """
        flow = live or load_flow(self._root / flow_path(file, document, self._root))
        if overrides is not None and overrides.candidates:
            named = variants_of(flow, overrides.candidates, self.models.connection, overrides.candidate_nodes)
            file = of_candidates(file, named)
        experiment = resolve(file, document, space_of(flow), self._root, overrides)
        data = self._datasets.open(experiment.data, id_column=experiment.id_column)
        columns = [column.name for column in data.columns]
        _check_cluster(experiment, columns, document)
        arms = self._arms(experiment, flow, data, file, document)
        mappings = {digest(arm.mapping): arm.mapping for arm in arms}
        for mapping in mappings.values():
            _check_flow_mapping(mapping, flow, columns, document)
        check_slices(experiment.slices, columns, _slice_places(file, document))
        judges = tuple(self.judge(use.spec, use.column_mapping) for use in experiment.evaluators)
        for index, judge in enumerate(judges):
            where = partial(document.where, "evaluators", index, "column_mapping")
            _check_columns(judge.mapping, columns, flow, where, f"{judge.evaluator.name}.")
        _check_metrics(experiment, [judge.evaluator for judge in judges], document)
        return Prepared(
            experiment=experiment,
            arms=arms,
            data=data,
            judges=judges,
            rows=_rows(experiment, data),
            digest=_digest(experiment, arms, judges),
        )

    def judge(self, spec: EvaluatorSpec, mapping: Mapping[str, Any]) -> Judge:
        """Load an evaluator and check its mapping; what a row itself knows (`duration`, ...) needs none.

        Raises:
            UserError: the evaluator cannot be loaded, or the mapping does not fit it.
        """
        evaluator = self._evaluation.load(spec)
        takes = (*evaluator.parameters.required, *evaluator.parameters.optional)
        own = {name: f"${{row.{name}}}" for name in takes if name in ROW_FACTS and name not in mapping}
        full = {**own, **mapping}
        evaluator.parameters.check(full, evaluator.name, spec.where)
        evaluator = self._evaluation.shown(evaluator, full)
        return Judge(evaluator=evaluator, mapping=ColumnMapping.parse(full, SOURCES), written=full)

    def data_of(self, run: Run) -> DatasetSource | None:
        """Return the data a run is over.

        Raises:
            Conflict: it has changed since.
        """
        if run.data is None:
            return None
        data = self._datasets.open(run.data.source, id_column=run.data.id_column)
        if data.digest != run.data.digest:
            raise Conflict(
                f"the data of the run '{run.name}' has changed since",
                where=run.data.source,
                fix="put it back, or run the flow again",
            )
        return data

    def _arms(
        self, experiment: Experiment, flow: Flow, data: DatasetSource, file: ExperimentFile, document: Layers
    ) -> tuple[PreparedArm, ...]:
        known: set[bytes] = set()
        arms: list[PreparedArm] = []
        for variant in experiment.variants:
            own = chosen(flow, variant.choices)
            for path, value in variant.settings.items():
                # What holds for one variant of a node may not hold for another.
                seen = identity({path: value, "": variant.choices})
                if seen not in known:
                    where = where_set(file, document, path, value)
                    check_setting(own, path, value, where)
                    self._check_connection(path, value, where)
                    known.add(seen)
            arms.append(self._arm(experiment, variant, own, data))
        return tuple(arms)

    def _check_connection(self, path: str, value: Any, where: str) -> None:
        if not path.endswith(".connection"):
            return
        try:
            self.models.connection(str(value))
        except ConnectionFault as error:
            raise ConfigError(error.message, where=where, expected=error.expected, fix=error.fix) from error

    def _arm(self, experiment: Experiment, variant: Variant, flow: Flow, data: DatasetSource) -> PreparedArm:
        settings = placed(flow, variant.settings)
        flow = applied(flow, variant.settings)
        mapping = {**experiment.column_mapping, **settings.inputs}
        content = {
            "flow": flow.digest,
            "variants": flow.variants,
            "connections": self._connections(flow),
            "data": [data.digest, data.id_column],
            "mapping": mapping,
            "repeats": experiment.repeats,
            "limit": experiment.limit,
            # The order in which rows are drawn, not how many: a run goes on from look to look.
            **({"sample": [experiment.seed, experiment.cluster]} if experiment.sequential is not None else {}),
            # Left out where there are none: the keys of earlier runs stay what they were.
            **({"settings": settings.connections} if settings.connections else {}),
        }
        return PreparedArm(variant=variant, flow=flow, placed=settings, mapping=mapping, key=digest(content))

    def _connections(self, flow: Flow) -> list[dict[str, str]]:
        """Return what tells the flow's connections apart: another model behind one name is another arm."""
        known = {connection.name for connection in self.models.connections()}
        named = {node.connection for node in flow.nodes if node.connection}
        # A Python tool takes a connection by its name in an input, a class by its name in an argument.
        maybe = {value for value in flow.literals if isinstance(value, str) and value in known}
        found: list[dict[str, str]] = []
        for name in sorted(named | maybe):
            try:
                found.append(self.models.connection(name).identity())
            except ConnectionFault:
                if name in named:
                    raise
        return found


ROW_FACTS = ("duration", "input_tokens", "output_tokens", "cost", "cached")


def space_of(flow: Flow) -> Space:
    """Return the flow's nodes with variants and their variant ids, defaults first."""
    return {
        node: (item.default, *(variant for variant in item.variants if variant != item.default))
        for node, item in flow.node_variants.items()
        if node in flow.variants
    }


def _check_cluster(experiment: Experiment, columns: Iterable[str], document: Layers) -> None:
    known = list(columns)
    if experiment.cluster is not None and experiment.cluster not in known:
        raise ConfigError(
            f"the data has no column '{experiment.cluster}' that rows could share",
            where=document.where("cluster"),
            expected=nearest_hint(experiment.cluster, known),
        )


def _slice_places(file: ExperimentFile, document: Layers) -> Callable[[int], str]:
    keys = ("slices",) if isinstance(file.slices, list) else ("slices", "by")
    return lambda place: document.where(*keys, place)


def _check_flow_mapping(written: Mapping[str, Any], flow: Flow, columns: Iterable[str], document: Layers) -> None:
    for name in written:
        if flow.inputs and name not in flow.inputs:
            raise ConfigError(
                f"the flow has no input '{name}'",
                where=document.where("column_mapping", name),
                expected=nearest_hint(name, flow.inputs),
            )
    needs = {name: item.has_default for name, item in flow.inputs.items() if name not in written}
    mapping = ColumnMapping.parse({**default_mapping(needs), **written}, ("data",))
    _check_columns(mapping, columns, None, partial(document.where, "column_mapping"))


def _check_columns(
    mapping: ColumnMapping,
    columns: Iterable[str],
    flow: Flow | None,
    where: Callable[[str], str],
    option: str = "",
) -> None:
    """Refuse a reference to a column or an output that does not exist, before a single row is run."""
    known = {"data": list(columns)}
    if flow is not None and flow.outputs:
        known |= {"run.outputs": list(flow.outputs), "run.inputs": list(flow.inputs)}
    for name, reference in mapping.references.items():
        places = [(source, path) for source, path in reference.places if source in known]
        if not places or any(path in known[source] or path.split(".")[0] in known[source] for source, path in places):
            continue
        source, path = places[0]
        raise ConfigError(
            f"'{name}' wants {reference.text}, but {_LACKS[source]} '{path}'",
            where=where(name),
            expected=nearest_hint(path, known[source]),
            fix=f"name one that exists, in the file or with --map {option}{name}={source}.NAME",
        )


_LACKS = {
    "data": "the data has no column",
    "run.outputs": "the flow has no output",
    "run.inputs": "the flow has no input",
}


def _check_decider(experiment: Experiment, evaluators: Iterable[Evaluator], document: Layers) -> None:
    """Refuse to stop early by a metric that is no mean, where that is known beforehand."""
    metrics = [metric for evaluator in evaluators for metric in evaluator.metrics]
    named = next((metric for metric in metrics if metric.name == experiment.primary), None)
    if experiment.sequential is not None and named is not None:
        check_metric(named, document.where("primary"))


def _check_metrics(experiment: Experiment, evaluators: Sequence[Evaluator], document: Layers) -> None:
    """Refuse an unknown metric early, where all evaluators say beforehand which ones they give."""
    declared: list[str] = []
    _check_decider(experiment, evaluators, document)
    for evaluator in evaluators:
        if not evaluator.metrics:
            return
        declared += [name for metric in evaluator.metrics for name in (metric.name, f"{evaluator.name}.{metric.name}")]
    wanted: dict[str, tuple[str, ...]] = {}
    if experiment.gate is not None:
        named = experiment.gate.named_metrics
        wanted = {name: ("gate", *keys) for name, keys in named.items() if not is_measured(name)}
    if experiment.primary is not None:
        wanted[experiment.primary] = ("primary",)
    for name, keys in wanted.items():
        if name not in declared:
            raise ConfigError(
                f"no evaluator gives a metric '{name}'",
                where=document.where(*keys),
                expected=nearest_hint(name, [item for item in declared if "." not in item]),
            )


def _rows(experiment: Experiment, data: DatasetSource) -> int:
    """Return how many rows of the data are used at most."""
    rule, rows = experiment.sequential, min(data.profile.rows, experiment.limit or data.profile.rows)
    if rule is None or rule.max_rows is None:
        return rows
    most = RowSample(size=rule.max_rows, seed=experiment.seed, cluster=experiment.cluster)
    return len(places_of(data, most, experiment.limit))


def _digest(experiment: Experiment, arms: Iterable[PreparedArm], judges: Iterable[Judge]) -> str:
    return digest(
        {
            "arms": [[arm.variant.name, arm.key] for arm in arms],
            "baseline": experiment.baseline,
            "judges": [judge.identity for judge in judges],
            "decision": [experiment.primary, experiment.alpha, experiment.resamples, experiment.seed],
            **({"cluster": experiment.cluster} if experiment.cluster is not None else {}),
            # Only where there are any: an experiment without slices keeps the digest it had before there were slices.
            **({"slices": experiment.slices} if experiment.slices is not None else {}),
            **({"sequential": experiment.sequential} if experiment.sequential is not None else {}),
        }
    )
