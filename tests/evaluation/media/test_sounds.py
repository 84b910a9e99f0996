"""WAV files against their reference."""

from __future__ import annotations

import base64
import io
import math
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile
from tests.evaluation.media.test_images import load, scores

from pilothouse.core.errors import DataError
from pilothouse.evaluation.metrics.media.sound import read_wav, signal_to_noise

random = np.random.default_rng(3)


def wav(samples: Any, rate: int = 8000, width: int = 2, channels: int = 1) -> bytes:
    """A WAV file of numbers from -1 to 1."""
    values = np.clip(np.asarray(samples), -1, 1 - 2.0 ** (1 - 8 * width))
    whole = np.round(values * 2 ** (8 * width - 1)).astype(np.int64)
    whole = whole + 128 if width == 1 else whole
    raw = b"".join(int(value).to_bytes(width, "little", signed=width > 1) for value in whole)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)
    return out.getvalue()


def recorded(data: bytes) -> dict[str, str]:
    return {"data:audio/wav;base64": base64.b64encode(data).decode()}


TONE = 0.5 * np.sin(np.arange(800) / 7)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_are_read_in_every_width(width: int) -> None:
    found = read_wav(wav(TONE, width=width))
    assert found.samples == pytest.approx(TONE, abs=2.0 ** (1 - 8 * width))
    assert found.seconds == 0.1
    assert found.level == pytest.approx(10 * math.log10(np.mean(TONE**2)), abs=0.1)


def test_samples_are_those_of_scipy() -> None:
    data = wav(random.uniform(-1, 1, 2000), channels=2)
    _, wanted = wavfile.read(io.BytesIO(data))
    assert read_wav(data).samples == pytest.approx(wanted.astype(float).mean(axis=1) / 2**15, abs=1e-12)


def test_noise_is_that_of_the_formula() -> None:
    for _ in range(300):
        clean, noise = random.normal(size=50), random.normal(size=50) * 0.1
        sound, reference = read_wav(wav(0.2 * (clean + noise), width=4)), read_wav(wav(0.2 * clean, width=4))
        wanted = 20 * np.log10(np.linalg.norm(reference.samples) / np.linalg.norm(sound.samples - reference.samples))
        assert signal_to_noise(sound, reference) == pytest.approx(wanted, abs=1e-9)


def test_a_sound_is_judged(tmp_path: Path) -> None:
    (tmp_path / "wanted.wav").write_bytes(wav(TONE))
    audio = load(tmp_path, "audio")
    quiet = scores(audio, recorded(wav(TONE / 2)), "wanted.wav")
    assert quiet["audio_level_apart"].value == pytest.approx(20 * math.log10(2), abs=0.01)
    assert quiet["audio_snr"].value == pytest.approx(20 * math.log10(2), abs=0.01)
    same = scores(audio, "wanted.wav", {"data:audio/wav;path": "wanted.wav"})
    assert (same["audio_seconds_apart"].value, same["audio_snr"].state) == (0.0, "abstained")
    long = scores(audio, recorded(wav(np.tile(TONE, 2))), "wanted.wav")
    assert (long["audio_seconds_apart"].value, long["audio_snr"].state) == (pytest.approx(0.1), "abstained")
    assert "1600 samples" in long["audio_snr"].evidence["why"]
    silent = scores(audio, recorded(wav(TONE * 0)), "wanted.wav")
    assert silent["audio_level_apart"].state == "abstained"


@pytest.mark.parametrize(
    "answer", [None, 3, "gone.wav", "../x.wav", recorded(b"RIFF"), recorded(b""), recorded(wav(TONE)[:20])]
)
def test_an_answer_that_is_no_sound_is_a_state(tmp_path: Path, answer: Any) -> None:
    audio = load(tmp_path, "audio")
    assert {score.state for score in scores(audio, answer, recorded(wav(TONE))).values()} == {"unparsable"}
    assert {score.state for score in scores(audio, recorded(wav(TONE)), answer).values()} == {"error"}


def test_a_torn_file_gives_the_samples_that_it_has() -> None:
    assert len(read_wav(wav(TONE)[:-101]).samples) == 749
    with pytest.raises(DataError):
        read_wav(b"")
