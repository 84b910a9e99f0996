"""An evaluator of your own: how much of the true answer stands in what the model wrote, whatever else it wrote."""

import re


def words(text):
    return set(re.findall(r"\w+", text.lower())) - {"a", "an", "the"}


def word_recall(prediction: str, truth: str) -> float:
    """Return the share of the words of the true answer that the model's answer has."""
    wanted = words(truth)
    return len(wanted & words(prediction)) / len(wanted) if wanted else 1.0
