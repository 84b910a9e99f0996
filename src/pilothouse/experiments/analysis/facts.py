"""What is needed to run an experiment again and get the same: versions, digests, dates, settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.types import Experiment

SHORT = 12
IN_FLIGHT = "rows in flight"


def facts_of(
    experiment: Experiment, runs: Sequence[Run], evaluators: Iterable[tuple[str, str]], ref: str, digest: str
) -> dict[str, str]:
    """Return the facts, label by label.

    Args:
        experiment: What was asked.
        runs: The runs of its arms.
        evaluators: Names and versions.
        ref: What people type to see it again.
        digest: Of the experiment's content; empty for a comparison of runs.
    """
    first = runs[0]
    found = {
        "experiment": f"{ref}, {digest[:SHORT]}" if digest else "a comparison of runs",
        "file": experiment.path or "",
        "flow": ", ".join(
            dict.fromkeys(f"{run.flow.path}, {_version(run.flow.version, run.flow.digest)}" for run in runs)
        ),
        "data": _data(first),
        "evaluators": "; ".join(f"{name} {version[:SHORT]}" for name, version in evaluators),
        "runs": ", ".join(run.name for run in runs),
        IN_FLIGHT: ", ".join(dict.fromkeys(str(run.spec.concurrency) for run in runs if run.spec.concurrency)),
        "repeats": str(experiment.repeats) if experiment.repeats > 1 else "",
        "statistics": f"alpha {experiment.alpha:g}, {experiment.resamples:,} resamples, seed {experiment.seed}",
        "first run": f"{min(run.created_at for run in runs):%Y-%m-%d %H:%M:%S} UTC by {first.created_by}",
        "time spent": numbers.seconds(sum(run.duration for run in runs)),
        "made with": ", ".join(
            dict.fromkeys(" ".join(f"{key} {value}" for key, value in run.environment.items()) for run in runs)
        ),
    }
    return {label: value for label, value in found.items() if value}


def _data(run: Run) -> str:
    if run.data is None:
        return ""
    return f"{run.data.source}, {run.data.rows:,} rows, {_version(run.data.version, run.data.digest)}"


def _version(version: str | None, digest: str) -> str:
    return f"{version}, sha256 {digest[:SHORT]}" if version else f"sha256 {digest[:SHORT]}"
