"""The evaluators of texts, lists, calls and structure, as an evaluation runs them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
import sacrebleu

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.aggregate import estimates
from pilothouse.evaluation.compare import compare
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.session import EvaluationSession
from pilothouse.evaluation.types import Estimate, EvaluationResult, EvaluationRow, EvaluatorSpec, Score
from pilothouse.flows.results import ErrorInfo

PAIRS = [
    ("the cat sat on the mat today", "the cat sat on the red mat"),
    ("a dog", "the dog barks loudly"),
    ("it rains again and again", "it rains again and again"),
]


def load(source: str, **options: Any) -> Evaluator:
    return load_evaluator(EvaluatorSpec(name=source, source=source, options=options), Path(), lambda *_: None)  # type: ignore[arg-type,return-value]


def judge(
    evaluator: Evaluator, rows: list[dict[str, Any] | None], known: dict[str, Any] | None = None
) -> EvaluationResult:
    """Judge rows; None is a row that failed upstream, of which ``known`` is known."""

    async def run() -> EvaluationResult:
        async with EvaluationSession([evaluator]) as session:
            for number, arguments in enumerate(rows):
                failure = ErrorInfo(type="ModelError", message="gone") if arguments is None else None
                given = {evaluator.name: (known or {}) if arguments is None else arguments}
                await session.score(EvaluationRow(id=str(number), arguments=given, failure=failure), number)
            return await session.finish()

    return asyncio.run(run())


def texts(pairs: list[tuple[str, str]]) -> list[dict[str, Any] | None]:
    return [{"prediction": answer, "truth": wanted} for answer, wanted in pairs]


def figures(result: EvaluationResult) -> dict[str, Estimate]:
    return {item.name: item for item in estimates(result.metrics, result.rows)}


def scores(evaluator: Evaluator, **arguments: Any) -> dict[str, Score]:
    return {score.name: score for score in judge(evaluator, [arguments]).rows[0].scores}


def test_bleu_is_that_of_the_corpus_and_has_an_interval() -> None:
    pairs = PAIRS * 10
    found = figures(judge(load("bleu"), texts(pairs)))["bleu"]
    expected = sacrebleu.corpus_bleu([answer for answer, _ in pairs], [[wanted for _, wanted in pairs]]).score
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert found.interval is not None
    assert found.interval.low < expected < found.interval.high
    assert "BCa bootstrap" in found.interval.method


def test_a_failed_row_counts_as_an_empty_answer() -> None:
    pairs = PAIRS * 4
    result = judge(load("bleu"), [*texts(pairs), None], known={"truth": "four words of reference"})
    found = figures(result)["bleu"]
    answers, wanted = [*(a for a, _ in pairs), ""], [*(w for _, w in pairs), "four words of reference"]
    assert found.value == pytest.approx(sacrebleu.corpus_bleu(answers, [wanted]).score, abs=1e-9)
    assert found.counted == {"failed": 1}
    assert found.complete == pytest.approx(sacrebleu.corpus_bleu(answers[:-1], [wanted[:-1]]).score, abs=1e-9)


def test_a_failed_row_whose_reference_is_unknown_is_left_out_and_counted() -> None:
    found = figures(judge(load("ter"), [*texts(PAIRS), None]))["ter"]
    assert (found.n, found.excluded) == (3, {"failed": 1})


def test_two_runs_are_compared_over_the_corpus() -> None:
    evaluator = load("chrf")
    good, bad = judge(evaluator, texts([(w, w) for _, w in PAIRS * 10])), judge(evaluator, texts(PAIRS * 10))
    found = compare(good.metrics[0], bad.rows, good.rows)
    assert found.verdict == "better"
    again = compare(good.metrics[0], good.rows, good.rows)
    assert again.verdict == "inconclusive"


@pytest.mark.parametrize("source", ["bleu", "chrf", "ter", "rouge", "meteor", "wer", "cer", "likeness"])
def test_several_references_and_no_answer(source: str) -> None:
    evaluator = load(source)
    best = judge(evaluator, [{"prediction": "two words", "truth": ["one", "two words"]}]).rows[0].scores[0].value
    nothing = judge(evaluator, [{"prediction": None, "truth": ["one", "two words"]}]).rows[0].scores[0]
    assert nothing.state == "ok"
    assert isinstance(nothing.value, float)
    assert isinstance(best, float)
    assert (best < nothing.value) is (source in {"ter", "wer", "cer"})


@pytest.mark.parametrize("source", ["bleu", "rouge", "wer"])
@pytest.mark.parametrize("truth", [None, [], ["", None], {"a": 1}])
def test_a_reference_that_is_none_is_an_error(source: str, truth: Any) -> None:
    assert {s.state for s in judge(load(source), [{"prediction": "x", "truth": truth}]).rows[0].scores} == {"error"}


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("bleu", {"tokenize": "martian"}),
        ("tool_calls", {"arguments": "roughly"}),
        ("retrieval", {"k": [0]}),
        ("retrieval", {"k": "10"}),
        ("calibration", {"bins": 0}),
        ("json_schema", {"schema": {"type": "text"}}),
    ],
)
def test_bad_options_are_refused(source: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        load(source, **options)


def test_synonyms_without_wordnet_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(ConfigError, match="WordNet"):
        load("meteor", synonyms=True)


def test_a_missing_package_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ConfigError, match=r"pilothouse\[metrics\]"):
        load("bleu")


def test_the_error_rate_of_a_corpus_weighs_long_texts_more() -> None:
    found = figures(judge(load("wer"), texts([("a", "b"), ("a b c d e f g h i", "a b c d e f g h i")])))["wer"]
    assert found.value == pytest.approx(1 / 10)


def test_retrieval() -> None:
    evaluator = load("retrieval", k=[1, 3])
    found = scores(evaluator, retrieved=[{"id": 7}, "b", "c"], relevant={"b": 2, "7": 0, "x": 1})
    assert {name: score.value for name, score in found.items()} == {
        "precision@1": 0.0, "precision@3": 1 / 3, "recall@1": 0.0, "recall@3": 1 / 2, "hit@1": False, "hit@3": True,
        "ndcg@1": 0.0, "ndcg@3": pytest.approx(0.4796249331, abs=1e-9), "mrr": 1 / 2, "map": 1 / 4,
    }  # fmt: skip
    assert found["mrr"].evidence == {"retrieved": ["7", "b", "c"], "holes": ["c"]}
    nothing = scores(evaluator, retrieved=["a"], relevant=[])
    assert {name for name, score in nothing.items() if score.state == "ok"} == {"precision@1", "precision@3"}
    assert {score.state for score in scores(evaluator, retrieved="a", relevant=["a"]).values()} == {"error"}


def test_calibration_over_rows() -> None:
    rows: list[dict[str, Any] | None] = [{"confidence": 0.9, "right": right} for right in (True, True, False, False)]
    rows += [{"confidence": 0.2, "right": False}, {"confidence": 1.0, "right": True}]
    found = figures(judge(load("calibration"), rows))["calibration_error"]
    # The bins are [0.2, 0.3) and [0.9, 1.0]: |0 - 0.2| x 1 and |3/5 - 4.6/5| x 5, over 6 rows.
    assert found.value == pytest.approx((0.2 + 1.6) / 6, abs=1e-12)


def test_brier() -> None:
    assert scores(load("brier"), probabilities=0.8, truth=True)["brier"].value == pytest.approx(0.04)
    dice = scores(load("brier"), probabilities={"a": 0.5, "b": 0.5}, truth="a")["brier"]
    assert dice.value == pytest.approx(0.5)
    assert scores(load("brier"), probabilities=1.5, truth=True)["brier"].state == "error"


def test_tool_calls_of_a_model_s_answer() -> None:
    message = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"x": 1, "y": 2}'}}]}
    found = scores(
        load("tool_calls", arguments="contain"), calls=message, expected=[{"name": "f", "arguments": {"x": 1}}]
    )
    assert found["tools_exact"].value is True
    assert found["tools_arguments"].value == 0.0
    silent = scores(load("tool_calls"), calls="", expected=[])
    assert (silent["tools_exact"].value, silent["tools_precision"].state) == (True, "abstained")
    prose = scores(load("tool_calls"), calls="I would call f", expected=["f"])
    assert {score.state for score in prose.values()} == {"unparsable"}


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("answer", "is_valid", "said"),
    [
        ('{"n": 1}', True, None),
        ({"n": 1}, True, None),
        ('{"n": "1"}', False, "$.n: '1' is not of type 'integer'"),
        ("{n: 1}", False, "not JSON"),
        ('{"n": NaN}', False, "NaN is no JSON"),
        (None, False, "$: None is not of type 'object'"),
    ],
)
def test_json_schema(answer: Any, is_valid: bool, said: str | None) -> None:
    score = scores(load("json_schema", schema=SCHEMA), prediction=answer)["json_schema"]
    assert score.value is is_valid
    assert said is None or said in score.evidence["errors"][0]


def test_a_schema_elsewhere_is_not_fetched() -> None:
    score = scores(load("json_schema", schema={"$ref": "https://example.com/schema.json"}), prediction="{}")[
        "json_schema"
    ]
    assert score.state == "error"
    assert score.error is not None
    assert "refers to another document" in score.error.message
