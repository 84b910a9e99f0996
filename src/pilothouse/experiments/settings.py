"""The section `experiments` of pilothouse.yaml."""

from __future__ import annotations

from msgspec import Struct


class ExperimentSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How experiments report.

    Attributes:
        reports: Folder of the reports, from the project's folder.
        report_rows: Rows that an HTML report carries itself; all of them are in its CSV file.
    """

    reports: str = "reports"
    report_rows: int = 400
