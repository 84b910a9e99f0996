"""The section `experiments` of pilothouse.yaml."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Alpha = Annotated[float, Meta(gt=0, lt=1)]
Resamples = Annotated[int, Meta(ge=100, le=1_000_000)]
Seed = Annotated[int, Meta(ge=0)]
Concurrency = Annotated[int, Meta(ge=1, le=10_000)]
Repeats = Annotated[int, Meta(ge=1, le=1000)]


class ExperimentDefaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds in every experiment file of the project that does not say otherwise; None leaves the house's default.

    See `pilothouse.experiments.types.Experiment` for the meaning of each.
    """

    alpha: Alpha | None = None
    resamples: Resamples | None = None
    seed: Seed | None = None
    concurrency: Concurrency | None = None
    repeats: Repeats | None = None


class ExperimentSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How experiments are run and report.

    Attributes:
        reports: Folder of the reports, from the project's folder.
        report_rows: Rows that an HTML report carries itself; all of them are in its CSV file.
        defaults: What experiment files need not say.
    """

    reports: str = "reports"
    report_rows: int = 400
    defaults: ExperimentDefaults = ExperimentDefaults()
