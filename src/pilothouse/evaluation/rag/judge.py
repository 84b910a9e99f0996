"""The evaluator `rag`: one judge call a row, from which all figures of RAG quality follow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from msgspec import Struct, to_builtins

from pilothouse.core.canonical import digest
from pilothouse.core.errors import DataError
from pilothouse.core.structs import convert
from pilothouse.evaluation.evaluators.evaluator import Judged, Parameters
from pilothouse.evaluation.judges.opinion import Opinion
from pilothouse.evaluation.judges.options import at
from pilothouse.evaluation.judges.seats import Asking, Seat, Seats
from pilothouse.evaluation.rag.asking import messages, read, schema
from pilothouse.evaluation.rag.case import case_of
from pilothouse.evaluation.rag.formulas import DEFINITIONS, FIGURES
from pilothouse.evaluation.rag.types import Case, Reading
from pilothouse.evaluation.types import Direction, EvaluatorSpec, Metric, Score, State
from pilothouse.flows.nodes.work import ModelLookup
from pilothouse.flows.results import ErrorInfo

DECLINED = "declined"
_OF_DOCUMENTS = ("relevance.trace_sentences", "utilization.trace_sentences", "utilization.chunks")
_SHOWN = 500


class RagOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the evaluator `rag`.

    Attributes:
        connection: The judge's connection.
        model: Its model; the connection's own when empty.
        temperature: Of the judge.
        max_tokens: Of its reply, which grows with the number of sentences.
        timeout: Seconds a reply may take.
    """

    connection: str
    model: str = ""
    temperature: float = 0.0
    max_tokens: int = 2048
    timeout: float = 120.0


class RagJudge(Opinion):
    """Question, documents and answer of a row, read by a model sentence by sentence.

    Scores: the figures of `pilothouse.evaluation.rag.formulas`, and ``declined``, whether the answer says that it does
    not know. A figure's evidence are its numerator and denominator and the sentences that cost it; that of
    ``declined`` is the whole reading.
    """

    parameters = Parameters(required=("question", "documents", "answer"))

    def __init__(self, name: str, seats: Seats) -> None:
        asked = messages(Case(question="...", documents=(), answer=()))
        super().__init__(name, digest([DEFINITIONS, seats.identity, to_builtins(asked), schema()]), seats)
        self.better: Direction | dict[str, Direction] = {**dict.fromkeys(FIGURES, "higher"), DECLINED: "lower"}
        self.metrics = (*(_metric(figure) for figure in FIGURES), _metric(DECLINED))
        self.calls_per_row = seats.calls
        self._seats = seats

    @classmethod
    def from_spec(cls, spec: EvaluatorSpec, models: ModelLookup, root: Path) -> Self:
        """Return the evaluator that an experiment asks for.

        Raises:
            ConfigError: for options that do not fit.
            ConnectionFault: for a connection that is missing or incomplete.
        """
        options = convert(spec.options, RagOptions, where=spec.where or "options of a judge")
        asking = Asking(temperature=options.temperature, max_tokens=options.max_tokens, timeout=options.timeout)
        with at(spec.where):
            return cls(spec.name, Seats([Seat(connection=options.connection, model=options.model)], models, asking))

    async def judge(self, arguments: Mapping[str, Any], number: int) -> Judged:
        """Ask about one row."""
        missing = [name for name in self.parameters.required if name not in arguments]
        if missing:
            return self._unjudged("error", f"the argument '{missing[0]}' is missing in this row")
        try:
            case = case_of(*(arguments[name] for name in self.parameters.required))
        except DataError as error:
            return self._unjudged("error", str(error))
        if not case.answer:
            return self._unjudged("abstained", "the answer is empty")
        (answer,) = await self._seats.ask(messages(case), schema())
        if answer.error is not None:
            return self._unjudged("error", answer.error, judge=answer.judge)
        try:
            reading = read(answer.text, case)
        except DataError as error:
            return self._unjudged("unparsable", str(error), judge=answer.judge, reply=answer.text[:_SHOWN])
        scores = [figure(case, reading).score(name) for name, figure in FIGURES.items()]
        whole = self._evidence(case, reading, answer.judge)
        return Judged(scores=(*scores, Score(name=DECLINED, value=reading.declines, evidence=whole)))

    def _unjudged(self, state: State, why: str, **evidence: str) -> Judged:
        error = ErrorInfo(type="JudgeError", message=why) if state == "error" else None
        score = Score(name=self.name, state=state, error=error, evidence={"why": why, **evidence})
        return Judged(scores=(score,), completed=state != "error")

    def _evidence(self, case: Case, reading: Reading, judge: str) -> dict[str, Any]:
        return {
            "reading": {
                **to_builtins(reading),
                "relevant": [key for key in case.sentences if key in reading.relevant],
                "used": [key for key in case.sentences if key in reading.used],
                "unknown": list(reading.unknown),
                "contradictions": list(reading.contradictions),
            },
            "sentences": {**case.sentences, **{item.key: item.text for item in case.answer}},
            "judge": judge,
            "calibration": self.calibration,
        }


def _metric(name: str) -> Metric:
    """Return the metric of a score; what describes documents has no worst value: neither end of it is a fault."""
    return Metric(
        name=name,
        score=name,
        kind="rate" if name in {"adherence.trace", DECLINED} else "mean",
        better="lower" if name == DECLINED else "higher",
        worst=None if name in {*_OF_DOCUMENTS, DECLINED} else 0.0,
        bounds=(0.0, 1.0),
    )
