"""Grades one row: 1 where the prediction is the truth, in any case."""

from pilothouse import tool


@tool
def grade(prediction: str, truth: str) -> float:
    return float(prediction.strip().lower() == truth.strip().lower())
