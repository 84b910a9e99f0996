"""The looks of a sequential experiment: arms advance together, and one that is decided gets no more rows."""

from __future__ import annotations

from collections.abc import Sequence

from pilothouse.evaluation.sequential.types import LooksReport, Sequential
from pilothouse.evaluation.sequential.watching import ArmWatch, check_metric
from pilothouse.evaluation.statistics.sequential import BettingSequence
from pilothouse.evaluation.types import Metric
from pilothouse.experiments.analysis.compilation import ArmResult, Declared, metrics_for
from pilothouse.experiments.arms import ArmWork, ArmWorker, Task
from pilothouse.experiments.runs.engine.sampling import count_units
from pilothouse.experiments.runs.types import RowSample


async def run_looks(
    worker: ArmWorker, task: Task, rule: Sequential, declared: Sequence[Declared]
) -> tuple[list[ArmWork], LooksReport]:
    """Run the arms of an experiment from look to look until all are decided, or no row is left.

    Everything follows from the rows: run again, the same rows give the same looks without a call.

    Returns:
        The arms as far as each came, and what the looks said.

    Raises:
        ConfigError: the metric that decides is no mean over rows.
        Interrupted: somebody asked to stop; what was recorded is kept.
    """
    experiment, data = task.prepared.experiment, task.prepared.data
    units = count_units(data, experiment.cluster, experiment.limit)
    sizes = rule.sizes(units)
    names = [arm.variant.name for arm in task.prepared.arms]
    base = names.index(experiment.baseline)
    level = 1.0 - experiment.alpha / (len(names) - 1)
    works: dict[int, ArmWork] = {}
    watches: dict[int, ArmWatch] = {}
    used = 0
    for size in sizes:
        used = size
        sample = RowSample(size=size, seed=experiment.seed, cluster=experiment.cluster)
        for position in range(len(names)):
            if position == base or position not in watches or watches[position].is_open:
                works[position] = await worker.work(task, position, sample, works.get(position))
        if not watches:
            metric = _metric(task, [works[position].result for position in sorted(works)], declared)
            watches = {
                position: ArmWatch(name, metric, level, sizes[-1], rule.margin)
                for position, name in enumerate(names)
                if position != base
            }
        for position, watch in watches.items():
            if watch.is_open:
                watch.look(size, works[base].result.scored, works[position].result.scored)
        if not any(watch.is_open for watch in watches.values()):
            break
    first = next(iter(watches.values()))
    report = LooksReport(
        metric=first.metric.name,
        unit="row" if experiment.cluster is None else "cluster",
        units=units,
        most=sizes[-1],
        used=used,
        looks=len(sizes),
        look_every=rule.look_every,
        margin=rule.margin,
        alpha=experiment.alpha,
        method=first.sequence.method,
        exact=isinstance(first.sequence, BettingSequence),
        seed=experiment.seed,
        cluster=experiment.cluster,
        arms=tuple(watch.report for watch in watches.values()),
    )
    return [works[position] for position in range(len(names))], report


def _metric(task: Task, arms: Sequence[ArmResult], declared: Sequence[Declared]) -> Metric:
    metric = metrics_for(task.prepared.experiment, arms, declared)[0]
    check_metric(metric, task.prepared.experiment.path)
    return metric
