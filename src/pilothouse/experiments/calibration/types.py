"""Nouns of calibrating an experiment's judge."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from pilothouse.evaluation.calibration.labels import LabelColumns
from pilothouse.evaluation.calibration.types import Calibration, Disagreement, Part


class Ask(Struct, frozen=True, kw_only=True):
    """What is to be calibrated.

    Attributes:
        source: An experiment that was run, whose verdicts are taken; or an experiment file, whose judge is asked
            about each labelled row now.
        labels: The file of labels.
        judge: Name of the judge in the experiment; may be empty where there is one only.
        variant: The arm whose rows were labelled; the baseline when empty. Of an experiment that was run.
        columns: Where ids and labels stand.
        part: Which of the labels are used.
    """

    source: str
    labels: Path
    judge: str = ""
    variant: str = ""
    columns: LabelColumns = LabelColumns()
    part: Part = Part()


class Calibrated(Struct, frozen=True, kw_only=True):
    """What a calibration gave.

    Attributes:
        calibration: The figures.
        ref: Where they are kept; None for labels that a judge is tuned on.
        disagreements: Rows on which judge and people differ; of the labels that a judge is tuned on alone.
    """

    calibration: Calibration
    ref: str | None = None
    disagreements: tuple[Disagreement, ...] = ()
