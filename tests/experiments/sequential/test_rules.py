"""What may not be combined with stopping early, and the order in which rows are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pilothouse.core.errors import ConfigError, Conflict, DataError
from pilothouse.datasets.service import DatasetService
from pilothouse.evaluation.sequential.types import Sequential
from pilothouse.evaluation.sequential.watching import ArmWatch, check_metric
from pilothouse.evaluation.statistics.sequential import AsymptoticSequence
from pilothouse.evaluation.types import Metric, Score, ScoredRow
from pilothouse.experiments.runs.engine.sampling import count_units, places_of
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RowSample, RunSpec

SEQUENTIAL = "sequential: {look_every: 10}\n"


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ("sequential: {look_every: 10}\nslices: [label]\n", r"experiment.yaml:\d+: slices have no guarantee"),
        (
            "sequential: {look_every: 10}\ngate: {metrics: {accuracy: {at_least: 0.5}}}\n",
            "(?s)a gate.*sequential: null",
        ),
        ("sequential: {look_every: 10}\nvariants: ['${classify.zero}']\n", "nothing to decide"),
        ("sequential: {look_every: 10, max_rows: 5}\n", "first look would be after more than the 5 rows"),
        ("sequential: {look_every: 0}\n", "look_every"),
        ("sequential: {look_evry: 10}\n", "look_every"),
        ("sequential: {look_every: 10, margin: 0}\n", "margin"),
    ],
)
def test_what_has_no_guarantee_is_refused_before_anything_runs(project: Any, more: str, match: str) -> None:
    project.edit("experiment.yaml", "concurrency: 4\n", f"concurrency: 4\n{more}")
    with pytest.raises(ConfigError, match=f"(?s){match}"):
        project.run()
    assert project.calls() == 0


def test_a_metric_that_is_no_mean_is_refused_before_anything_runs(project: Any) -> None:
    project.edit("experiment.yaml", "primary: accuracy\n", f"primary: macro_f1\n{SEQUENTIAL}")
    with pytest.raises(ConfigError, match=r"(?s)'macro_f1' is no mean over rows.*remove `sequential`"):
        project.run()
    assert project.calls() == 0
    for kind in ("labels", "sums", "quantile"):
        with pytest.raises(ConfigError, match="no mean over rows"):
            check_metric(Metric(name="m", kind=kind))  # pyright: ignore[reportArgumentType]


def test_a_file_that_extends_a_sequential_one_may_run_all_rows_and_have_a_gate(project: Any) -> None:
    project.edit("experiment.yaml", "concurrency: 4\n", f"concurrency: 4\n{SEQUENTIAL}")
    gated = project.write(
        "gated.yaml",
        "extends: experiment.yaml\nname: gated\nsequential: null\n"
        "gate: {variant: few, metrics: {accuracy: {at_least: 0.5}}}\n",
    )
    assert project.experiments.plan(gated).looks is None


def test_looks_are_evenly_apart_and_the_last_is_at_all_rows() -> None:
    assert Sequential(look_every=50).sizes(120) == (50, 100, 120)
    assert Sequential(look_every=50).sizes(100) == (50, 100)
    assert Sequential(look_every=50).sizes(30) == (30,)
    assert Sequential(look_every=50, min_rows=75, max_rows=200).sizes(1000) == (75, 125, 175, 200)


def opened(services: Any, text: str) -> Any:
    path: Path = services.root / "rows.csv"
    path.write_text(text)
    return services.get(DatasetService).open("rows.csv")


def test_a_larger_sample_begins_with_the_smaller_one_in_an_order_of_its_seed(services: Any) -> None:
    data = opened(services, "text\n" + "\n".join(f"row {n}" for n in range(300)) + "\n")
    whole = places_of(data, RowSample(size=300, seed=7))
    assert sorted(whole) == sorted(whole.values()) == list(range(300))
    for size in (1, 10, 299):
        part = places_of(data, RowSample(size=size, seed=7))
        assert part == {number: place for number, place in whole.items() if place < size}
    assert list(whole) != list(range(300))
    assert places_of(data, RowSample(size=300, seed=8)) != whole
    # A correlation of place and number would let sorted data through.
    assert abs(np.corrcoef(list(whole), list(whole.values()))[0, 1]) < 0.2
    assert max(places_of(data, RowSample(size=50, seed=7), limit=60)) < 60
    assert count_units(data, None, 60) == 60


def test_clusters_stand_together_and_rows_without_one_by_themselves(services: Any) -> None:
    rows = [f"row {n},{f'doc{n % 5}' if n % 7 else ''}" for n in range(50)]
    data = opened(services, "text,doc\n" + "\n".join(rows) + "\n")
    assert count_units(data, "doc") == 5 + 8
    whole = places_of(data, RowSample(size=13, seed=7, cluster="doc"))
    assert sorted(whole.values()) == list(range(50))
    seen: list[str] = []
    for number in sorted(whole, key=lambda number: whole[number]):
        name = f"doc{number % 5}" if number % 7 else f"row {number}"
        assert name not in seen[:-1]
        seen += [name] if seen[-1:] != [name] else []
    assert len(seen) == 13


async def _extended(runs: RunService, sample: RowSample) -> Any:
    return await runs.extend("drawn", sample)


def test_a_run_over_a_sample_is_extended_and_keeps_its_rows(project: Any) -> None:
    import asyncio

    runs = project.services.get(RunService)
    spec = RunSpec(
        flow="flows/sms",
        data="data/sms.csv",
        column_mapping={"text": "${data.text}"},
        name="drawn",
        sample=RowSample(size=10, seed=3),
    )
    run = asyncio.run(runs.execute(spec))
    first = [row.number for row in runs.rows(run)]
    assert (run.counts.total, run.counts.completed, project.calls()) == (10, 10, 10)
    assert first == sorted(first) != list(range(10))
    run = asyncio.run(_extended(runs, RowSample(size=25, seed=3)))
    assert (run.counts.total, run.counts.completed, project.calls(), len(run.attempts)) == (25, 25, 25, 2)
    assert set(first) < {row.number for row in runs.rows(run)}
    same = asyncio.run(_extended(runs, RowSample(size=12, seed=3)))
    assert (same.counts.total, len(same.attempts), project.calls()) == (25, 2, 25)
    with pytest.raises(Conflict, match="in this order"):
        asyncio.run(_extended(runs, RowSample(size=30, seed=4)))
    assert asyncio.run(runs.resume("drawn")).counts.total == 25


def test_the_p_value_of_the_asymptotic_sequence_agrees_with_its_interval() -> None:
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.1, 0.2, 0.3):
        sequence = AsymptoticSequence(0.95)
        sequence.add(rng.normal(shift, 1.0, 60))
        assert sequence.p_value() is None
        sequence.add(rng.normal(shift, 1.0, 300))
        interval, p_value = sequence.interval(), sequence.p_value()
        assert interval is not None
        assert p_value is not None
        assert (p_value < 0.05) == (not interval.low <= 0.0 <= interval.high)
        assert sequence.p_value(interval.low) == pytest.approx(0.05)


def test_a_score_outside_of_its_bounds_is_told() -> None:
    metric = Metric(name="m", evaluator="e", score="m", kind="mean", bounds=(0.0, 1.0))

    def rows(value: float) -> list[ScoredRow]:
        return [ScoredRow(id="a", scores=(Score(name="m", evaluator="e", value=value),))]

    watch = ArmWatch("new", metric, 0.95, 100, None)
    with pytest.raises(DataError, match="outside of its bounds"):
        watch.look(1, rows(0.0), rows(3.0))
