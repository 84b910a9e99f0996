"""The evaluator `audio`: a sound against its reference. What is said in it is judged by `wer` over a transcript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilothouse.core.errors import DataError
from pilothouse.evaluation.media.loading import sound_bytes
from pilothouse.evaluation.metrics.media.sound import read_wav, signal_to_noise
from pilothouse.evaluation.types import Metric, Score


class Audio:
    """Two WAV files: difference of their lengths and levels, and the ratio of signal to noise where they are aligned.

    An answer that is no such file is ``unparsable``; a figure that does not exist (the level of silence, the noise of
    the same samples, or of sounds of another length) abstains and says why.

    Args:
        root: The project's folder.
    """

    located = True
    identity = "wav 1"
    metrics = (
        Metric(name="audio_seconds_apart", score="audio_seconds_apart", kind="mean", better="lower", unit="s"),
        Metric(name="audio_level_apart", score="audio_level_apart", kind="mean", better="lower", unit="dB"),
        Metric(name="audio_snr", score="audio_snr", kind="mean", unit="dB"),
    )

    def __init__(self, *, root: Path) -> None:
        self._root = root

    def __call__(self, prediction: Any, truth: Any) -> list[Score]:
        """Judge one row."""
        wanted = read_wav(sound_bytes(truth, self._root))
        try:
            found = read_wav(sound_bytes(prediction, self._root))
        except DataError as error:
            why = {"why": error.message}
            return [Score(name=metric.score, state="unparsable", evidence=why) for metric in self.metrics]
        levels = found.level, wanted.level
        try:
            noise, why = signal_to_noise(found, wanted), "the same samples"
        except DataError as error:
            noise, why = None, error.message
        return [
            Score(
                name="audio_seconds_apart",
                value=abs(found.seconds - wanted.seconds),
                evidence={"seconds": [found.seconds, wanted.seconds]},
            ),
            _known("audio_level_apart", _difference(*levels), {"levels": [*levels]}),
            _known("audio_snr", noise, {"why": why} if noise is None else None),
        ]


def _difference(one: float | None, other: float | None) -> float | None:
    return abs(one - other) if one is not None and other is not None else None


def _known(name: str, value: float | None, evidence: Any) -> Score:
    return Score(name=name, value=value, state="ok" if value is not None else "abstained", evidence=evidence)
