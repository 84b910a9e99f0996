"""Sounds in WAV files: their length, level, and noise against a reference."""

from __future__ import annotations

import io
import math
import wave

import numpy as np
from msgspec import Struct

from pilothouse.core.errors import DataError
from pilothouse.evaluation.statistics.arrays import FloatArray


class Sound(Struct, frozen=True):
    """A sound.

    Attributes:
        rate: Samples a second.
        samples: -1 to 1, the mean of all channels.
    """

    rate: int
    samples: FloatArray

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate

    @property
    def level(self) -> float | None:
        """Root mean square in decibels below full scale; None for silence."""
        power = float(np.mean(self.samples**2)) if len(self.samples) else 0.0
        return 10.0 * math.log10(power) if power else None


def read_wav(data: bytes) -> Sound:
    """Return the sound of a WAV file with PCM samples of 8 to 32 bits.

    Raises:
        DataError: for other bytes.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
        whole = raw[: len(raw) // (width * channels) * width * channels]
        values = _samples(whole, width)
        return Sound(rate, values.reshape(-1, channels).mean(axis=1))
    except (wave.Error, EOFError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"the sound cannot be read: {error}", expected="a WAV file with PCM samples") from error


def signal_to_noise(sound: Sound, reference: Sound) -> float | None:
    """Return 10 log10 of the reference's power over that of the difference, in decibels; None without a difference.

    Raises:
        DataError: when rates or lengths differ, or the reference is silent.
    """
    if sound.rate != reference.rate or len(sound.samples) != len(reference.samples):
        told = f"{len(sound.samples)} samples at {sound.rate} Hz"
        raise DataError(
            f"the sound has {told}",
            expected=f"{len(reference.samples)} samples at {reference.rate} Hz, as its reference",
        )
    wanted, apart = float(np.sum(reference.samples**2)), float(np.sum((sound.samples - reference.samples) ** 2))
    if not wanted:
        raise DataError("the reference is silent", expected="a sound")
    return 10.0 * math.log10(wanted / apart) if apart else None


def _samples(raw: bytes, width: int) -> FloatArray:
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128.0) / 128.0
    if width == 3:
        parts = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        # Three bytes, the lowest first, as the upper ones of four: the sign comes right by itself.
        wide = np.zeros((len(parts), 4), np.uint8)
        wide[:, 1:] = parts
        return wide.view("<i4")[:, 0].astype(np.float64) / 2.0**31
    return np.frombuffer(raw, f"<i{width}").astype(np.float64) / 2.0 ** (8 * width - 1)
