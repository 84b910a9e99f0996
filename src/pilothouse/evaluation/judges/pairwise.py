"""The evaluator `pairwise`: which of two answers is better, asked in both orders."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from msgspec import to_builtins
from msgspec.structs import replace

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.evaluators.evaluator import Judged, Parameters
from pilothouse.evaluation.judges.judge import score_of, unshown, version_of
from pilothouse.evaluation.judges.opinion import Opinion
from pilothouse.evaluation.judges.options import JudgeOptions, at, judge_options
from pilothouse.evaluation.judges.panel import Panel, agreed
from pilothouse.evaluation.judges.prompt import messages
from pilothouse.evaluation.judges.reply import Reply
from pilothouse.evaluation.judges.rubric import Rubric
from pilothouse.evaluation.media.loading import Loader
from pilothouse.evaluation.types import Direction, EvaluatorSpec, Metric, Score
from pilothouse.flows.nodes.work import ModelLookup


class PairwiseJudge(Opinion):
    """A candidate's answer against a baseline's. Verdicts that change with the order of the two are a tie.

    Scores: ``<name>`` is 1 where the candidate wins, 0 where the baseline does, 0.5 for a tie; the mean is a win rate.
    ``<name>_flipped`` is whether the verdict went with the place and not with the answer: its rate is position bias.
    """

    parameters = Parameters(required=("candidate", "baseline"), open=True)

    def __init__(self, name: str, rubric: Rubric, panel: Panel, loader: Loader) -> None:
        super().__init__(name, version_of(panel, rubric), panel)
        self.better: Direction | dict[str, Direction] = {name: "higher", f"{name}_flipped": "lower"}
        self.metrics = (
            Metric(name=name, score=name, kind="mean", worst=0.0, bounds=(0.0, 1.0)),
            Metric(name=f"{name}_flipped", score=f"{name}_flipped", kind="rate", better="lower", bounds=(0.0, 1.0)),
        )
        self.rubric = rubric
        self.calls_per_row = 2 * panel.calls
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
            rubric = _rubric(options)
            panel = options.seat(rubric, models)
        return cls(spec.name, rubric, panel, options.loader(root))

    def shown(self, names: Iterable[str]) -> None:
        """Take the names of what is shown beside the two answers into the version."""
        beside = [name for name in names if name not in self.parameters.required]
        self.version = version_of(self._panel, self.rubric, [*beside, "answer_1", "answer_2"])

    async def judge(self, arguments: Mapping[str, Any], number: int) -> Judged:
        """Ask about one row, in both orders."""
        try:
            given = self._loader.loaded(arguments)
            candidate, baseline = given.pop("candidate"), given.pop("baseline")
            rows = [
                self._loader.shown({**given, "answer_1": first, "answer_2": second})
                for first, second in ((candidate, baseline), (baseline, candidate))
            ]
        except DataError as error:
            return unshown((self.name, f"{self.name}_flipped"), error)
        ahead, behind = await asyncio.gather(
            *(self._panel.ask(messages(self.rubric, row.material, row.media)) for row in rows)
        )
        first, second = agreed(ahead, self.rubric), agreed(behind, self.rubric)
        evidence = {
            "candidate_first": to_builtins(ahead),
            "baseline_first": to_builtins(behind),
            "calibration": self.calibration,
        }
        scores = self._scores(first, second, evidence)
        return Judged(scores=scores, completed=scores[0].state != "error")

    def _scores(self, first: Reply, second: Reply, evidence: Any) -> tuple[Score, ...]:
        missing = next((reply for reply in (first, second) if reply.state != "ok"), None)
        if missing is not None:
            return tuple(score_of(name, missing, evidence) for name in (self.name, f"{self.name}_flipped"))
        ahead, behind = _sign(first), -_sign(second)
        won = (1.0 + ahead) / 2.0 if ahead == behind else 0.5
        # Opposite winners in the two orders: the place won, not the answer.
        flipped = ahead * behind < 0
        return (
            score_of(self.name, replace(first, verdict=won), evidence),
            score_of(f"{self.name}_flipped", replace(first, verdict=flipped), evidence),
        )


def _rubric(options: JudgeOptions) -> Rubric:
    if options.kind != "binary" or options.levels or options.examples:
        raise ConfigError("a comparison of two answers has no kind, levels or examples", fix="leave them out")
    return Rubric(question=options.question, kind="pairwise", guidance=options.guidance)


def _sign(reply: Reply) -> int:
    """Return 1 where the first answer is better, -1 where the second is, 0 for a tie."""
    verdict = float(reply.verdict or 0.0)
    return (verdict > 0) - (verdict < 0)
