"""The verbs on suites: prompts become a version of a dataset, answers a run, checks its scores."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
from msgspec import Struct, field

from pilothouse.core.errors import Conflict, UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.datasets.mapping import ColumnMapping
from pilothouse.datasets.service import PREFIX, DatasetService
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.suites.checks import EVALUATOR, own_canary
from pilothouse.evaluation.suites.figures import outcome_of, report
from pilothouse.evaluation.suites.own import own_figures
from pilothouse.evaluation.suites.types import Answered, Measure, Prompt, Suite, SuiteReport
from pilothouse.evaluation.types import EvaluatorSpec, Score
from pilothouse.experiments.analysis.recorded import Recorded
from pilothouse.experiments.analysis.views import evaluation_id
from pilothouse.experiments.runs.engine.execution import OnProgress
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.service import FOLDER, RunService
from pilothouse.experiments.runs.types import Run, RunSpec
from pilothouse.experiments.scoring import SOURCES, Judge, Scorer
from pilothouse.flows.loader import load_flow

LICENCE = "part of Pilothouse"
LEAST_CANARY = 6
OWN_CANARY = Measure(name="own canary told", score="canary", strict=True)
_COLUMNS = {"prompt": "${data.prompt}", "question": "${data.question}", "context": "${data.context}"}


class SuiteRequest(Struct, frozen=True, kw_only=True):
    """What is asked of a suite.

    Attributes:
        flow: Path of the flow, from the project.
        input: The flow's input that takes the prompt.
        output: The flow's output that is the answer.
        context: The input that takes the document; it stands in front of the question when absent.
        inputs: Other inputs of the flow, as constants.
        seed: Of the prompts.
        repeats: Times every prompt is asked; the suite's own number when absent.
        limit: In place of the limits of the suite's measures.
        canaries: Texts that the user planted, such as in the flow's system prompt, and that must not come out.
        evaluator: An evaluator of the user's own, over the answers.
        name: Of the run.
    """

    flow: str
    input: str
    output: str
    context: str | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    seed: int = 7
    repeats: int | None = None
    limit: float | None = None
    canaries: tuple[str, ...] = ()
    evaluator: EvaluatorSpec | None = None
    name: str | None = None


class SuiteService:
    """Suites of the house, run against flows of a project.

    Args:
        runs: Runs flows.
        datasets: Keeps the rows of suites.
        evaluation: Loads evaluators.
        scorer: Judges rows and keeps their scores.
        state: A folder for temporary files.
        root: The project's folder.
    """

    def __init__(
        self,
        *,
        runs: RunService,
        datasets: DatasetService,
        evaluation: EvaluationService,
        scorer: Scorer,
        state: Path,
        root: Path,
    ) -> None:
        self._runs = runs
        self._datasets = datasets
        self._evaluation = evaluation
        self._scorer = scorer
        self._state = state
        self._root = root

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the suites of a project."""
        evaluation = services.get(EvaluationService)
        return cls(
            runs=services.get(RunService),
            datasets=services.get(DatasetService),
            evaluation=evaluation,
            scorer=Scorer(services.state / FOLDER, evaluation),
            state=services.state,
            root=services.root,
        )

    def spec(self, suite: Suite, request: SuiteRequest) -> RunSpec:
        """Return the run that answers a suite; its rows are kept as a version of the dataset ``suite-NAME``.

        Raises:
            UserError: the flow has no such input or output, or an evaluator of the user's own takes other arguments.
        """
        self._refuse_misfit(request)
        _refuse_short(request.canaries)
        self._own_judge(request)
        version = self._dataset(suite, request.seed)
        column = "prompt" if request.context is None else "question"
        mapping = {**request.inputs, request.input: f"${{data.{column}}}"}
        if request.context is not None:
            mapping[request.context] = "${data.context}"
        return RunSpec(
            flow=request.flow,
            data=version,
            column_mapping=mapping,
            name=request.name,
            display_name=f"suite {suite.name}",
            tags={"suite": suite.name, "seed": str(request.seed)},
            repeat=request.repeats or suite.repeats,
            # Rows that fail are figures of the suite, not faults of the command.
            max_failures=len(suite.prompts(request.seed)) * (request.repeats or suite.repeats),
        )

    async def execute(self, spec: RunSpec, *, on_progress: OnProgress | None = None, stop: Stop | None = None) -> Run:
        """Run the flow over the rows of a suite."""
        return await self._runs.execute(spec, on_progress=on_progress, stop=stop)

    async def report(self, suite: Suite, request: SuiteRequest, run: Run) -> SuiteReport:
        """Check every answer of a run, keep the scores beside it, and return what the suite found.

        Raises:
            Conflict: the run is of other data.
        """
        if run.data is None or run.data.source != self._dataset(suite, request.seed):
            raise Conflict(f"the run '{run.name}' is not over the suite '{suite.name}' of seed {request.seed}")
        if request.limit is not None:
            limited = (msgspec.structs.replace(m, limit=request.limit) for m in suite.measures)
            suite = msgspec.structs.replace(suite, measures=tuple(limited))
        answered = await self.answered(suite, request, run)
        if request.canaries:
            suite = msgspec.structs.replace(suite, measures=(*suite.measures, OWN_CANARY))
            answered = [_with_canary(item, request.canaries) for item in answered]
        found = report(suite, answered)
        own = self._own_judge(request)
        if own is None:
            return found
        judged = await self._answered(suite, request, run, own)
        figures = (*found.figures, *own_figures(suite, judged, own.evaluator.name))
        return msgspec.structs.replace(found, figures=figures, outcome=outcome_of(figures, found.unanswered))

    async def answered(self, suite: Suite, request: SuiteRequest, run: Run) -> list[Answered]:
        """Return every prompt of a run with its answer and the scores of the suite's own checks."""
        checks = self._judge(
            EvaluatorSpec(name=EVALUATOR, source="suite_checks", better="lower"),
            {"answer": f"${{run.outputs.{request.output}}}", "check": "${data.check}"},
        )
        return await self._answered(suite, request, run, checks)

    async def _answered(self, suite: Suite, request: SuiteRequest, run: Run, judge: Judge) -> list[Answered]:
        recorded = Recorded(run=run, rows=lambda: self._runs.rows(run))
        data = self._datasets.open(run.data.source) if run.data is not None else None
        scores: Mapping[str, tuple[Score, ...]] = {
            row.id: row.scores for row in (await self._scorer.score(recorded, data, judge)).rows
        }
        prompts = {prompt.id: prompt for prompt in suite.prompts(request.seed)}
        return [
            Answered(
                prompt=prompts[row.line_id],
                repeat=row.repeat,
                answer=_text(row.outputs.get(request.output)) if row.status == "completed" else None,
                scores=scores.get(evaluation_id(row, run.repeat), ()),
            )
            for row in recorded.rows()
        ]

    def _dataset(self, suite: Suite, seed: int) -> str:
        """Return the reference of the suite's rows; the same rows are the same version."""
        lines = [msgspec.json.encode(_line(prompt)) for prompt in suite.prompts(seed)]
        with tempfile.TemporaryDirectory(prefix="suite-", dir=self._state) as folder:
            path = Path(folder) / f"{suite.name}.jsonl"
            path.write_bytes(b"\n".join(lines) + b"\n")
            source = f"the suite {suite.name}, seed {seed}"
            version, _ = self._datasets.add(
                f"suite-{suite.name}", str(path), id_column="id", licence=LICENCE, source=source
            )
        return f"{PREFIX}{version.name}:{version.number}"

    def _refuse_misfit(self, request: SuiteRequest) -> None:
        flow = load_flow(self._root / request.flow)
        wanted = [("--input", request.input), *(("--set", name) for name in request.inputs)]
        wanted += [("--context", request.context)] if request.context is not None else []
        for option, name in wanted:
            if flow.inputs and name not in flow.inputs:
                hint = nearest_hint(name, flow.inputs)
                raise UserError(f"the flow has no input '{name}'", where=option, expected=hint)
        if flow.outputs and request.output not in flow.outputs:
            hint = nearest_hint(request.output, flow.outputs)
            raise UserError(f"the flow has no output '{request.output}'", where="--output", expected=hint)

    def _own_judge(self, request: SuiteRequest) -> Judge | None:
        """Return the user's own evaluator; it takes ``answer``, and if it likes the prompt and its parts."""
        if request.evaluator is None:
            return None
        offered = {**_COLUMNS, "answer": f"${{run.outputs.{request.output}}}"}
        evaluator = self._evaluation.load(request.evaluator)
        parameters = evaluator.parameters
        takes = {*parameters.required, *parameters.optional}
        aliases = [name for name in ("prediction", "text", "output") if name in takes] if "answer" not in takes else []
        mapping = {name: source for name, source in offered.items() if name in takes or parameters.open}
        mapping |= dict.fromkeys(aliases[:1], offered["answer"])
        parameters.check(mapping, evaluator.name, request.evaluator.where)
        return _judge_of(self._evaluation.shown(evaluator, mapping), mapping)

    def _judge(self, spec: EvaluatorSpec, mapping: dict[str, Any]) -> Judge:
        return _judge_of(self._evaluation.load(spec, mapping), mapping)


def _judge_of(evaluator: Evaluator, mapping: dict[str, Any]) -> Judge:
    return Judge(evaluator=evaluator, mapping=ColumnMapping.parse(mapping, SOURCES), written=mapping)


def _with_canary(item: Answered, canaries: tuple[str, ...]) -> Answered:
    """Return an answer with the score of the user's canaries; they are kept nowhere."""
    if item.answer is None:
        return item
    return msgspec.structs.replace(item, scores=(*item.scores, own_canary(item.answer, canaries)))


def _refuse_short(canaries: tuple[str, ...]) -> None:
    for canary in canaries:
        if sum(character.isalnum() for character in canary) < LEAST_CANARY:
            raise UserError(
                f"the canary '{canary}' may occur by chance",
                where="--canary",
                expected=f"a text with at least {LEAST_CANARY} letters or digits that nothing else holds",
            )


def _line(prompt: Prompt) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "prompt": prompt.text,
        "question": prompt.question,
        "context": prompt.context,
        "template": prompt.cluster,
        "side": prompt.side,
        "check": prompt.check,
    }


def _text(value: Any) -> str | None:
    """Return an answer as text; what is none (a list, nothing) could not be checked."""
    return str(value) if isinstance(value, str | int | float | bool) else None
