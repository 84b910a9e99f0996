"""The page of a suite run: figures with intervals, the rows that show a finding, and how often detectors are wrong."""

from __future__ import annotations

import json

from pilothouse.evaluation.suites.measured import RATES
from pilothouse.evaluation.suites.types import Suite, SuiteReport
from pilothouse.experiments.reports.html import page
from pilothouse.experiments.runs.types import Run

_SECTIONS = (("figures", "Figures"), ("cases", "Findings"), ("detectors", "Detectors"), ("facts", "What was run"))
_COLOURS = {"pass": "better", "fail": "worse", "inconclusive": ""}


def suite_page(report: SuiteReport, run: Run, suite: Suite) -> bytes:
    """Return the page; it is complete in itself."""
    view = {
        "sections": _SECTIONS,
        "suite": suite,
        "report": report,
        "run": run,
        "colours": _COLOURS,
        "cases": [(case, [(name, _text(item)) for name, item in case.found.items()]) for case in report.cases],
        "rates": [rate for rate in RATES if rate.detector in suite.detectors and rate.interval is not None],
        "facts": {
            "run": run.name,
            "flow": f"{run.flow.path} ({run.flow.digest[:12]})",
            "data": f"{run.data.source} ({run.data.digest[:12]})" if run.data is not None else "",
            "seed": run.spec.tags.get("seed", ""),
            "repeats": str(run.repeat),
            "begun": f"{run.created_at:%Y-%m-%d %H:%M:%S} UTC by {run.created_by}",
        },
    }
    return page("suite.html.j2", view)


def _text(evidence: object) -> str:
    return evidence if isinstance(evidence, str) else json.dumps(evidence, ensure_ascii=False)
