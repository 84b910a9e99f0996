"""The evaluator `judge`: one question about every row, answered by one model or a panel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from msgspec import to_builtins

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.evaluators.evaluator import Judged, Parameters
from pilothouse.evaluation.judges.opinion import ModelJudge, Opinion
from pilothouse.evaluation.judges.options import at, judge_options
from pilothouse.evaluation.judges.panel import Panel, agreed
from pilothouse.evaluation.judges.prompt import messages
from pilothouse.evaluation.judges.reply import Reply
from pilothouse.evaluation.judges.rubric import Rubric
from pilothouse.evaluation.media.loading import Loader
from pilothouse.evaluation.types import Direction, EvaluatorSpec, Metric, Score
from pilothouse.flows.nodes.faults import own_fault
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.results import ErrorInfo


@runtime_checkable
class RubricJudge(ModelJudge, Protocol):
    """A judge that gives one verdict by a rubric: it can be calibrated."""

    rubric: Rubric


class PromptJudge(Opinion):
    """A rubric over rows. Every argument that the experiment maps is shown to the judge under its name.

    The score is the verdict: a boolean, or a level. Its evidence are all answers with their reasons.
    """

    def __init__(self, name: str, rubric: Rubric, panel: Panel, loader: Loader, better: Direction = "higher") -> None:
        super().__init__(name, version_of(panel, rubric), panel)
        self.better: Direction | dict[str, Direction] = better
        self.parameters = Parameters(open=True)
        self.metrics = (_metric(name, rubric, better),)
        self.rubric = rubric
        self.calls_per_row = panel.calls
        self._panel = panel
        self._loader = loader

    @classmethod
    def from_spec(cls, spec: EvaluatorSpec, models: ModelLookup, root: Path) -> Self:
        """Return the judge that an experiment asks for.

        Raises:
            ConfigError: for options that do not fit.
            ConnectionFault: for a connection that is missing or incomplete.
        """
        with at(spec.where):
            options = judge_options(spec.options, spec.where)
            rubric = options.rubric()
            if rubric.kind == "pairwise":
                raise ConfigError("a judge of single answers is not pairwise", fix="name the evaluator `pairwise`")
            panel = options.seat(rubric, models)
        better = spec.better if isinstance(spec.better, str) else spec.better.get(spec.name, "higher")
        return cls(spec.name, rubric, panel, options.loader(root), better)

    def shown(self, names: Iterable[str]) -> None:
        """Take the names under which rows are shown into the version."""
        self.version = version_of(self._panel, self.rubric, names)

    async def judge(self, arguments: Mapping[str, Any], number: int) -> Judged:
        """Ask about one row."""
        try:
            row = self._loader.shown(arguments)
        except DataError as error:
            return unshown((self.name,), error)
        replies = await self._panel.ask(messages(self.rubric, row.material, row.media))
        found = agreed(replies, self.rubric)
        evidence = {"answers": to_builtins(replies), "calibration": self.calibration}
        score = score_of(self.name, found, evidence)
        return Judged(scores=(score,), completed=score.state != "error")


def version_of(panel: Panel, rubric: Rubric, names: Iterable[str] = ()) -> str:
    """Return the digest of all that decides verdicts: the words that are sent, the models, and how they are asked.

    The names of a row's parts are words that are sent; their order is left aside, which the record of an experiment
    does not keep. What a connection is called and how long an answer may take decide nothing.
    """
    asked = messages(rubric, dict.fromkeys(sorted(names) or ["material"], "..."))
    return digest([panel.identity, to_builtins(asked), rubric.schema()])


def unshown(names: Iterable[str], error: DataError) -> Judged:
    """Return the scores of a row that cannot be shown to a judge."""
    fault = own_fault(error)
    scores = tuple(Score(name=name, state="error", error=fault) for name in names)
    return Judged(scores=scores, completed=False)


def score_of(name: str, reply: Reply, evidence: Any) -> Score:
    """Return a reply as a score."""
    if reply.state == "error":
        error = ErrorInfo(type="JudgeError", message=reply.reason)
        return Score(name=name, state="error", error=error, evidence=evidence)
    return Score(name=name, state=reply.state, value=reply.verdict, evidence=evidence)


def _metric(name: str, rubric: Rubric, better: Direction) -> Metric:
    values = [float(value) for value in rubric.verdicts.values()]
    low, high = min(values), max(values)
    kind = "rate" if rubric.kind == "binary" else "mean"
    return Metric(name=name, kind=kind, better=better, worst=low if better == "higher" else high, bounds=(low, high))
