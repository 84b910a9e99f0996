"""The evaluator `perplexity`: how likely a model found its tokens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pilothouse.evaluation.metrics.perplexity import token_logprobs
from pilothouse.evaluation.metrics.sums import exp_ratio
from pilothouse.evaluation.types import Metric, Score

_STATISTICS = {"cross_entropy": "ratio", "bits_per_token": "ratio", "perplexity": "exp_ratio"}


class Perplexity:
    """Cross-entropy in nats and in bits a token, and perplexity = exp of it, over the tokens of all rows.

    Rows weigh as many tokens as they have. A token without a probability (the first of a prompt that is repeated) is
    left out, and counted in the evidence; a row without any abstains.
    """

    inline = True
    metrics = tuple(
        Metric(
            name=name,
            score=name,
            kind="sums",
            statistic=statistic,
            better="lower",
            unit={"cross_entropy": "nats", "bits_per_token": "bits"}.get(name),
        )
        for name, statistic in _STATISTICS.items()
    )

    def __call__(self, logprobs: Any) -> list[Score]:
        """Judge one row; ``logprobs`` as the model reported them."""
        told = token_logprobs(logprobs)
        known = [value for value in told if value is not None]
        evidence = {"tokens": len(known), "without_probability": len(told) - len(known)}
        if not known:
            return [Score(name=name, state="abstained", evidence=evidence) for name in _STATISTICS]
        nats = -math.fsum(known)
        mean = nats / len(known)
        values = {
            "cross_entropy": mean,
            "bits_per_token": mean / math.log(2.0),
            "perplexity": float(exp_ratio(np.array([[nats, len(known)]]))[0]),
        }
        sums = {"bits_per_token": nats / math.log(2.0)}
        return [
            Score(name=name, value=values[name], sums=(sums.get(name, nats), float(len(known))), evidence=evidence)
            for name in _STATISTICS
        ]
