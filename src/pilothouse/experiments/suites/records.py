"""Records of suite runs: what was asked and found, beside the run; two of them compared, and judged by a gate."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct, structs

from pilothouse.core.errors import Conflict, NotFound
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.evaluation.statistics.intervals import wilson
from pilothouse.evaluation.suites.checks import EVALUATOR
from pilothouse.evaluation.suites.contrast import contrast_metric, contrast_rows
from pilothouse.evaluation.suites.table import suite_named
from pilothouse.evaluation.suites.types import Suite, SuiteReport
from pilothouse.evaluation.types import Procedure
from pilothouse.experiments.gates.regressions import Regressions
from pilothouse.experiments.gates.types import Decision, RuleResult, Snapshot
from pilothouse.experiments.runs.service import FOLDER, RunService
from pilothouse.experiments.runs.types import Run
from pilothouse.experiments.settings import ExperimentSettings
from pilothouse.experiments.suites.pages import suite_page
from pilothouse.experiments.suites.rules import decision_of
from pilothouse.experiments.suites.service import SuiteRequest, SuiteService

FILE = "suite.json"
PAGES = "suites"
FEWEST_TEMPLATES = 10
"""Templates below which two runs are not told apart."""

MARGIN = 0.2
"""The loss that does not matter, where nobody says another; twenty templates cannot show that there is less of it."""


class SuiteRecord(Struct, frozen=True, kw_only=True):
    """A run of a suite and what it found.

    Attributes:
        run: Name of the run.
        suite: Name of the suite.
        request: What was asked, without the canaries of the user: they may be private.
        canaries: How many there were.
        report: What was found.
    """

    run: str
    suite: str
    request: SuiteRequest
    canaries: int = 0
    report: SuiteReport


class SuiteRecords:
    """What suites found in a project.

    Args:
        runs: The runs.
        suites: Reads answers and their scores.
        state: The project's state folder.
        root: The project's folder.
        settings: Where reports are written.
    """

    def __init__(
        self, runs: RunService, suites: SuiteService, *, state: Path, root: Path, settings: ExperimentSettings
    ) -> None:
        self._runs = runs
        self._suites = suites
        self._folder = state / FOLDER
        self._pages = root / settings.reports / PAGES

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the records of a project."""
        return cls(
            services.get(RunService),
            services.get(SuiteService),
            state=services.state,
            root=services.root,
            settings=services.settings.section(ExperimentSettings),
        )

    def keep(self, run: Run, request: SuiteRequest, report: SuiteReport) -> SuiteRecord:
        """Keep what a suite found beside its run, and write its page.

        Raises:
            StorageError: the disk is full or forbidden.
        """
        record = SuiteRecord(
            run=run.name,
            suite=report.suite,
            request=structs.replace(request, canaries=()),
            canaries=len(request.canaries),
            report=report,
        )
        write_atomic(self._folder / run.id / FILE, msgspec.json.encode(record), mode=0o600)
        write_atomic(self.page(record), suite_page(record.report, run, suite_named(record.suite)))
        return record

    def page(self, record: SuiteRecord) -> Path:
        """Return where the page of a record is."""
        return self._pages / f"{record.run}.html"

    def get(self, ref: str) -> SuiteRecord:
        """Return the record of a run: its name, id, the beginning of one, or ``latest``.

        Raises:
            NotFound: there is no such run, or it is not one of a suite.
        """
        run = self._runs.get(ref)
        found = self._read(run)
        if found is None:
            raise NotFound(
                f"the run '{run.name}' has no record of a suite",
                fix="pilothouse suite run NAME --flow FLOW ... makes one; pilothouse suite runs lists them",
            )
        return found

    def list(self) -> list[tuple[SuiteRecord, Run]]:
        """Return all records with their runs, the latest first."""
        found = ((self._read(run), run) for run in self._runs.list() if "suite" in run.spec.tags)
        return [(record, run) for record, run in found if record is not None]

    async def compare(self, before: str, now: str, margin: float = MARGIN) -> tuple[RuleResult, ...]:
        """Compare two runs of one suite, measure by measure: paired, by template, corrected by Holm over the suite.

        Args:
            before: The run that is the baseline.
            now: The run that is judged.
            margin: The largest loss that does not matter.

        Raises:
            Conflict: they are not over the same rows.
            NotFound: one of them is no run of a suite.
        """
        records = self.get(before), self.get(now)
        sides = await self._snapshot(records[0]), await self._snapshot(records[1])
        return compared(suite_named(records[1].suite), sides, margin)

    async def decide(self, ref: str, baseline: str | None = None, margin: float = MARGIN) -> Decision:
        """Return what the limits of a suite say of a run, and what its comparison with another run says.

        Raises:
            Conflict: they are not over the same rows.
            NotFound: one of them is no run of a suite.
        """
        record = self.get(ref)
        against = await self.compare(baseline, ref, margin) if baseline is not None else ()
        page = self.page(record)
        decision = decision_of(record.report, self._runs.get(record.run), against, baseline)
        return structs.replace(decision, report=str(page))

    async def _snapshot(self, record: SuiteRecord) -> Snapshot:
        run, suite = self._runs.get(record.run), suite_named(record.suite)
        answered = await self._suites.answered(suite, record.request, run)
        data = run.data
        versions = {score.evaluator: score.evaluator_version for item in answered for score in item.scores}
        return Snapshot(
            experiment=f"suite {suite.name}",
            variant=run.name,
            run=run.name,
            data=data.digest if data is not None else "",
            source=(data.version or data.source) if data is not None else "",
            repeats=run.repeat,
            evaluators={EVALUATOR: versions.get(EVALUATOR, "")},
            contents={},
            rows=contrast_rows(suite, answered),
        )

    def _read(self, run: Run) -> SuiteRecord | None:
        path = self._folder / run.id / FILE
        return msgspec.json.decode(path.read_bytes(), type=SuiteRecord) if path.is_file() else None


def compared(
    suite: Suite, sides: tuple[Snapshot, Snapshot], margin: float, how: Procedure | None = None
) -> tuple[RuleResult, ...]:
    """Return what a suite's measures say of two runs, the first of them the baseline.

    Raises:
        Conflict: they are not over the same rows.
    """
    first, second = sides
    if (first.experiment, first.data, first.repeats) != (second.experiment, second.data, second.repeats):
        raise Conflict(
            f"the runs '{first.run}' and '{second.run}' are not over the same rows",
            where=f"{first.source} and {second.source}, asked {first.repeats} and {second.repeats} times",
            expected="the same suite, seed and --repeat",
        )
    margins = {contrast_metric(measure, first.rows, second.rows): margin for measure in suite.measures}
    rules = Regressions(sides, how or Procedure(), FEWEST_TEMPLATES).results(margins)
    return tuple(_alike(_alone(rule), second, margin) for rule in rules)


def _alone(rule: RuleResult) -> RuleResult:
    """Return a rule without the rows of other measures, which have no score of its own; ids are those of prompts."""
    found = rule.comparison
    if found is None:
        return rule
    difference = structs.replace(found.difference, excluded={})
    rows = tuple(row.removeprefix(f"{found.metric}: ") for row in rule.rows)
    return structs.replace(rule, rows=rows, comparison=structs.replace(found, difference=difference))


def _alike(rule: RuleResult, side: Snapshot, margin: float) -> RuleResult:
    """Return a rule that passes where every pair differs by the same and is no worse, and templates are many enough.

    Without any spread there is no interval; of n templates at most Wilson's bound of 0 of n does otherwise, as in
    `pilothouse.evaluation.suites.figures`.
    """
    found = rule.comparison
    if rule.outcome != "inconclusive" or found is None or found.difference.interval is not None:
        return rule
    value = found.difference.value
    if value is None or value > 0.0 or "no spread" not in (found.note or ""):
        return rule
    templates = {row.cluster for row in side.rows for score in row.scores if score.name == found.metric}
    bound = wilson(0, len(templates))
    if bound is None or bound.high > margin:
        return rule
    said = f"no pair is worse; at most {bound.high:.0%} of templates do otherwise ({len(templates)} seen)"
    return structs.replace(rule, outcome="pass", reason=said)
