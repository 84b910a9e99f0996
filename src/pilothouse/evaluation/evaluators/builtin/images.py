"""Evaluators of images and of videos as frames: pixel by pixel, and by perceptual hash.

An image is what a flow recorded, a file of the project, or bytes in base64. An answer that is no image, or has another
size, is ``unparsable``; a reference that cannot be read is an error of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pilothouse.core.errors import ConfigError, DataError
from pilothouse.evaluation.media.loading import frames_of, image_bytes
from pilothouse.evaluation.metrics.media.pictures import BITS, Hash, Pictures, differences, ssim
from pilothouse.evaluation.types import Metric, Score

_IMAGES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff"}


class ImagePixels:
    """Two images of one size: mean absolute error and RMSE (0 to 255), PSNR in decibels, and SSIM.

    Two equal images have no PSNR: it abstains.

    Args:
        root: The project's folder.
        resize: Bring the answer to the reference's size first.
    """

    located = True
    identity = "pixels 1"
    metrics = (
        Metric(name="image_mae", score="image_mae", kind="mean", better="lower", worst=255.0, bounds=(0.0, 255.0)),
        Metric(name="image_rmse", score="image_rmse", kind="mean", better="lower", worst=255.0, bounds=(0.0, 255.0)),
        Metric(name="image_psnr", score="image_psnr", kind="mean", worst=0.0, unit="dB"),
        Metric(name="image_ssim", score="image_ssim", kind="mean", worst=0.0, bounds=(-1.0, 1.0)),
    )

    def __init__(self, *, root: Path, resize: bool = False) -> None:
        self._root = root
        self._resize = resize
        self._pictures = Pictures("the evaluator 'image_pixels'")

    def __call__(self, prediction: Any, truth: Any) -> list[Score]:
        """Judge one row."""
        (wanted,) = self._pictures.frames(image_bytes(truth, self._root))
        try:
            (found,) = self._pictures.frames(image_bytes(prediction, self._root))
        except DataError as error:
            return _unread(self.metrics, error.message)
        size = [*found.size]
        if found.size != wanted.size and self._resize:
            found = self._pictures.resized(found, wanted.size)
        if found.size != wanted.size:
            return _unread(self.metrics, f"the image has {found.size} pixels, its reference {wanted.size}")
        mae, rmse, noise = differences(self._pictures.colours(found), self._pictures.colours(wanted))
        values = {
            "image_mae": mae,
            "image_rmse": rmse,
            "image_psnr": noise,
            "image_ssim": ssim(self._pictures.luminance(found), self._pictures.luminance(wanted)),
        }
        return [
            Score(name=name, value=value, state="ok" if value is not None else "abstained", evidence={"size": size})
            for name, value in values.items()
        ]


class ImageHash:
    """Share of equal bits of the 64 of a perceptual hash, 0 to 1; unrelated images have about half.

    Args:
        root: The project's folder.
        kind: ``perceptual``, ``average`` or ``difference``.
        within: Bits that may differ where two images count as the same: the rate ``image_same``.
    """

    located = True

    def __init__(self, *, root: Path, kind: Hash = "perceptual", within: int = 10) -> None:
        self._root = root
        self._kind: Hash = _kind(kind)
        self._within = within
        self._pictures = Pictures("the evaluator 'image_hash'")
        self.identity = "hash 1"
        self.metrics = (
            Metric(name="image_hash", score="image_hash", kind="mean", worst=0.0, bounds=(0.0, 1.0)),
            Metric(name="image_same", score="image_same", kind="rate", worst=0.0, bounds=(0.0, 1.0)),
        )

    def __call__(self, prediction: Any, truth: Any) -> list[Score]:
        """Judge one row."""
        (wanted,) = self._pictures.frames(image_bytes(truth, self._root))
        try:
            (found,) = self._pictures.frames(image_bytes(prediction, self._root))
        except DataError as error:
            return _unread(self.metrics, error.message)
        hashes = [self._pictures.bits(image, self._kind) for image in (found, wanted)]
        distance = _apart(*hashes)
        evidence = {"distance": distance, "hashes": [*map(_hexadecimal, hashes)], "kind": self._kind}
        return [
            Score(name="image_hash", value=1.0 - distance / BITS, evidence=evidence),
            Score(name="image_same", value=distance <= self._within, evidence=evidence),
        ]


class VideoHash:
    """Videos as frames, aligned in their order: mean share of equal bits of their hashes, 0 to 1.

    A video is a list of images, a folder of the project with one file a frame, or an animated GIF or WebP. A frame that
    only one side has counts 0.

    Args:
        root: The project's folder.
        kind: ``perceptual``, ``average`` or ``difference``.
        most: Frames that are looked at.
    """

    located = True

    def __init__(self, *, root: Path, kind: Hash = "perceptual", most: int = 300) -> None:
        self._root = root
        self._kind: Hash = _kind(kind)
        self._most = most
        self._pictures = Pictures("the evaluator 'video_hash'")
        self.identity = "hash 1"
        self.metrics = (Metric(name="video_hash", score="video_hash", kind="mean", worst=0.0, bounds=(0.0, 1.0)),)

    def __call__(self, prediction: Any, truth: Any) -> list[Score]:
        """Judge one row."""
        wanted = self._hashes(truth)
        if not wanted:
            raise DataError("the reference video has no frame", expected="at least one")
        try:
            found = self._hashes(prediction)
        except DataError as error:
            return _unread(self.metrics, error.message)
        distances = [_apart(*pair) for pair in zip(found, wanted, strict=False)]
        frames = max(len(found), len(wanted))
        value = sum(1.0 - distance / BITS for distance in distances) / frames
        evidence = {"frames": [len(found), len(wanted)], "distances": distances, "kind": self._kind}
        return [Score(name="video_hash", value=value, evidence=evidence)]

    def _hashes(self, video: Any) -> list[tuple[bool, ...]]:
        hashes: list[tuple[bool, ...]] = []
        for source in self._sources(video):
            left = self._most - len(hashes)
            if left <= 0:
                break
            images = self._pictures.frames(image_bytes(source, self._root), left)
            hashes += [self._pictures.bits(image, self._kind) for image in images]
        return hashes

    def _sources(self, video: Any) -> Sequence[Any]:
        folder = self._folder(video) if isinstance(video, str) else None
        if folder is None:
            return frames_of(video)
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _IMAGES)
        return [file.relative_to(self._root.resolve()).as_posix() for file in files]

    def _folder(self, name: str) -> Path | None:
        try:
            folder = (self._root / name).resolve()
            return folder if folder.is_relative_to(self._root.resolve()) and folder.is_dir() else None
        except (OSError, ValueError):
            return None


def _kind(kind: str) -> Hash:
    for known in get_args(Hash):
        if kind == known:
            return known
    raise ConfigError(f"there is no hash '{kind}'", expected=", ".join(get_args(Hash)))


def _apart(one: Sequence[bool], other: Sequence[bool]) -> int:
    return sum(left != right for left, right in zip(one, other, strict=True))


def _hexadecimal(bits: Sequence[bool]) -> str:
    return f"{int(''.join('01'[bit] for bit in bits), 2):016x}"


def _unread(metrics: Sequence[Metric], why: str) -> list[Score]:
    return [Score(name=metric.score, state="unparsable", evidence={"why": why}) for metric in metrics]
