"""The section `experiments` of pilothouse.yaml."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ReportFormat = Literal["html", "csv", "parquet", "json"]
"""Forms of a report; HTML and CSV are always written."""


class ExperimentSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How experiments report.

    Attributes:
        reports: Folder of the reports, from the project's folder.
        report_rows: Rows that an HTML report carries itself; all of them are in its CSV file.
        report_formats: What is written beside HTML and CSV after each run: ``parquet``, ``json``.
        tracking: Where each run is logged when it has ended: ``mlflow:http://host:5000`` or ``wandb:folder``.
    """

    reports: str = "reports"
    report_rows: int = 400
    report_formats: tuple[ReportFormat, ...] = ()
    tracking: str | None = None
