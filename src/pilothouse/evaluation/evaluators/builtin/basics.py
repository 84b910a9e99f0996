"""Labels, short answers, latency, tokens and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.evaluators.builtin.arguments import label_text, light, references_of
from pilothouse.evaluation.figures import label_metrics
from pilothouse.evaluation.metrics.classification import BEYOND_CHANCE
from pilothouse.evaluation.metrics.log_loss import negative_log_likelihood
from pilothouse.evaluation.metrics.text import best_token_f1
from pilothouse.evaluation.metrics.text import exact_match as matches
from pilothouse.evaluation.types import LabelPair, Metric, Score


class ExactMatch:
    """Whether the answer equals the reference, or one of a list of references.

    Args:
        strict: To the letter; else after SQuAD's normalisation (case, punctuation, articles, white space).
    """

    inline = True
    metrics = (Metric(name="exact_match", kind="rate", worst=0.0, bounds=(0.0, 1.0)),)

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict

    def __call__(self, prediction: Any, truth: Any) -> Score:
        """Judge one row; no answer is a wrong one."""
        references = references_of(truth)
        answer = label_text(prediction)
        return Score(value=answer is not None and matches(answer, references, strict=self.strict))


class Classification:
    """Predicted against true label: accuracy, macro and weighted F1, precision, recall, the confusion matrix.

    An answer that is no label (nothing at all, or none of ``labels``) is ``unparsable`` and counts as wrong; a row
    without a true label is an error of the data and is left out, counted.

    Args:
        labels: The label set; without it, the labels that occur as truth.
        ignore_case: Whether upper and lower case are the same label.
        beyond_chance: Also Matthews' correlation and Cohen's kappa, which are 0 for a guess.
    """

    inline = True

    def __init__(self, *, labels: Sequence[str] = (), ignore_case: bool = False, beyond_chance: bool = False) -> None:
        if isinstance(labels, str) or not all(label_text(label) for label in labels):
            raise ConfigError(f"the labels of a classification are {labels!r}", expected="a list of texts")
        self.ignore_case = ignore_case
        self.labels = tuple(dict.fromkeys(text for label in labels if (text := self._label(label)) is not None))
        accuracy, *others = label_metrics(labels=self.labels)
        more = BEYOND_CHANCE if beyond_chance else ()
        self.metrics = (
            accuracy,
            *others,
            *(replace(accuracy, name=n, kind="labels", statistic=n, worst=None, bounds=(-1.0, 1.0)) for n in more),
        )

    def __call__(self, prediction: Any, truth: Any) -> Score:
        """Judge one row."""
        true = self._true(truth)
        found = self._label(prediction)
        known = found is not None and (not self.labels or found in self.labels)
        pair = LabelPair(truth=true, prediction=found if known else None)
        if known:
            return Score(value=found == true, labels=pair)
        return Score(state="unparsable", labels=pair, evidence={"answer": prediction})

    def on_failure(self, arguments: Mapping[str, Any]) -> LabelPair:
        """Return the true label of a row without an answer."""
        return LabelPair(truth=self._true(arguments.get("truth")), prediction=None)

    def _label(self, value: Any) -> str | None:
        text = label_text(value)
        return text.casefold() if text is not None and self.ignore_case else text

    def _true(self, truth: Any) -> str:
        label = self._label(truth)
        if label is None:
            raise DataError(f"the row has no true label: {truth!r}", expected="a text, a whole number or a boolean")
        if self.labels and label not in self.labels:
            raise DataError(f"the true label '{label}' is not in the label set", expected=", ".join(self.labels))
        return label


@light(Metric(name="token_f1", kind="mean", worst=0.0, bounds=(0.0, 1.0)))
def token_f1(prediction: Any, truth: Any) -> float:
    """Return F1 over the tokens of answer and reference, the best of a list of references; no answer is 0."""
    return best_token_f1(label_text(prediction) or "", references_of(truth))


@light(Metric(name="log_loss", kind="mean", better="lower"))
def log_loss(probabilities: Any, truth: Any) -> float:
    """Return -log of the probability of the true label; ``probabilities`` is a dict from label to probability."""
    label = label_text(truth)
    if not isinstance(probabilities, Mapping) or label is None:
        raise DataError(
            f"the log loss is given {probabilities!r} and {truth!r}",
            expected="a dict from label to probability, and a label",
        )
    return negative_log_likelihood(
        {str(k): float(v) for k, v in cast("Mapping[Any, Any]", probabilities).items()}, label
    )


@light(
    Metric(name="latency_p50", kind="quantile", quantile=0.5, better="lower", unit="s"),
    Metric(name="latency_p95", kind="quantile", quantile=0.95, better="lower", unit="s"),
)
def latency(duration: float | None) -> float | None:
    """Return the seconds that a row took; unknown is not measured."""
    return duration


@light(Metric(name="tokens", kind="mean", better="lower", unit="tokens"))
def tokens(input_tokens: int | None, output_tokens: int | None) -> int | None:
    """Return the tokens that went into and came out of the models of a row; unknown is not 0."""
    return None if input_tokens is None or output_tokens is None else input_tokens + output_tokens


@light(Metric(name="cost", kind="mean", better="lower", unit="USD"))
def cost(cost: float | None) -> float | None:
    """Return the US dollars that the models of a row cost; an unknown price is not 0."""
    return cost
