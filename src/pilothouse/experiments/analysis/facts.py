"""What is needed to run an experiment again and get the same: versions, digests, dates, settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pilothouse.experiments.analysis import numbers
from pilothouse.experiments.runs.types import DataRef, Run
from pilothouse.experiments.types import Experiment, Variant

SHORT = 12
MOST_SETTINGS = 60
"""Arms whose settings stand among the facts; all of them are in the experiment's record."""

LONGEST = 80
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
        "settings": "; ".join(
            f"{arm.name}: {settings_text(arm)}" for arm in experiment.variants[:MOST_SETTINGS] if arm.settings
        ),
        "data": _data(first),
        "not independent": f"rows of the same {experiment.cluster}" if experiment.cluster else "",
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


def settings_text(arm: Variant) -> str:
    """Return the settings of an arm as a person reads them."""
    return ", ".join(f"{path}={_value(value)}" for path, value in arm.settings.items())


def data_text(data: DataRef) -> str:
    """Return where rows come from; of several datasets, each by its name."""
    if not data.parts:
        return data.source
    names = data.name.split("+")
    return ", ".join(f"{name}: {part.source}" for name, part in zip(names, data.parts, strict=True))


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _data(run: Run) -> str:
    if run.data is None:
        return ""
    return f"{data_text(run.data)}, {run.data.rows:,} rows, {_version(run.data.version, run.data.digest)}"


def _version(version: str | None, digest: str) -> str:
    return f"{version}, sha256 {digest[:SHORT]}" if version else f"sha256 {digest[:SHORT]}"
