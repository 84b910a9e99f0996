"""Images: reading them, pixel by pixel differences, structural similarity and perceptual hashes.

Hashes are those of the package ImageHash (bit for bit), SSIM is that of Wang et al. 2004 over the luminance, as
scikit-image computes it with a Gaussian window of sigma 1.5 and population covariances.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pilothouse.core.errors import DataError
from pilothouse.core.extras import require
from pilothouse.evaluation.statistics.arrays import FloatArray

Hash = Literal["average", "difference", "perceptual"]

MOST_PIXELS: Final = 50_000_000
SIDE: Final = 8
BITS: Final = SIDE * SIDE
_SIGMA, _RADIUS = 1.5, 5
_PEAK: Final = 255.0
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2


class Pictures:
    """Reads images by Pillow.

    Raises:
        ConfigError: when Pillow is not installed.
    """

    def __init__(self, purpose: str) -> None:
        self._pillow: Any = require("PIL.Image", extra="images", purpose=purpose)
        self._lanczos: Any = self._pillow.Resampling.LANCZOS

    def frames(self, data: bytes, most: int = 1) -> list[Any]:
        """Return the first frames of an image; those of an animated GIF or WebP are several.

        Raises:
            DataError: when the bytes are no image, or it has too many pixels.
        """
        try:
            image = self._pillow.open(io.BytesIO(data))
            if image.width * image.height > MOST_PIXELS:
                raise DataError(f"the image has {image.width} x {image.height} pixels", expected=f"{MOST_PIXELS:,}")
            return [self._frame(image, place) for place in range(min(getattr(image, "n_frames", 1), most))]
        except (OSError, SyntaxError, ValueError, self._pillow.DecompressionBombError) as error:
            raise DataError(f"the image cannot be read: {str(error)[:200]}", expected="PNG, JPEG, GIF, WebP") from error

    def _frame(self, image: Any, place: int) -> Any:
        image.seek(place)
        return image.copy()

    def colours(self, image: Any) -> FloatArray:
        """Return (height, width, 3) values of red, green and blue, 0 to 255; what is transparent lies on black."""
        if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
            image = image.convert("RGBA")
            ground = self._pillow.new("RGBA", image.size, (0, 0, 0, 255))
            ground.alpha_composite(image)
            image = ground
        return np.asarray(image.convert("RGB"), dtype=np.float64)

    def luminance(self, image: Any) -> FloatArray:
        """Return (height, width) values of luminance, 0 to 255."""
        return np.asarray(image.convert("L"), dtype=np.float64)

    def resized(self, image: Any, size: tuple[int, int]) -> Any:
        """Return the image in another width and height."""
        return image.convert("RGB").resize(size, self._lanczos)

    def bits(self, image: Any, kind: Hash) -> tuple[bool, ...]:
        """Return the 64 bits of an image's hash, row by row."""
        return tuple(_HASHES[kind](image.convert("L"), self._lanczos).flatten().tolist())


def differences(one: FloatArray, other: FloatArray) -> tuple[float, float, float | None]:
    """Return the mean absolute error, the root of the mean squared error, and the PSNR in decibels.

    Errors are in steps of a pixel's value, 0 to 255; PSNR is None where there is no error.
    """
    apart = one - other
    squared = float(np.mean(apart**2))
    noise = 10.0 * math.log10(_PEAK**2 / squared) if squared else None
    return float(np.mean(np.abs(apart))), math.sqrt(squared), noise


def ssim(one: FloatArray, other: FloatArray) -> float:
    """Return the structural similarity of two luminances of one size, -1 to 1.

    Raises:
        DataError: when a side is shorter than the window.
    """
    if min(one.shape) <= 2 * _RADIUS:
        raise DataError(f"the image has {one.shape[1]} x {one.shape[0]} pixels", expected="at least 11 x 11 for SSIM")
    mean_one, mean_other = _blurred(one), _blurred(other)
    variance_one = _blurred(one * one) - mean_one**2
    variance_other = _blurred(other * other) - mean_other**2
    together = _blurred(one * other) - mean_one * mean_other
    likeness = (2.0 * mean_one * mean_other + _C1) * (2.0 * together + _C2)
    return float(np.mean(likeness / ((mean_one**2 + mean_other**2 + _C1) * (variance_one + variance_other + _C2))))


def _blurred(values: FloatArray) -> FloatArray:
    """Return the Gaussian mean around each place that is a whole window away from the edge."""
    taps = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    taps /= taps.sum()
    along = sliding_window_view(values, taps.size, axis=0) @ taps
    return sliding_window_view(along, taps.size, axis=1) @ taps


def _average(image: Any, how: Any) -> Any:
    pixels = np.asarray(image.resize((SIDE, SIDE), how))
    return pixels > np.mean(pixels)


def _difference(image: Any, how: Any) -> Any:
    pixels = np.asarray(image.resize((SIDE + 1, SIDE), how))
    return pixels[:, 1:] > pixels[:, :-1]


def _perceptual(image: Any, how: Any) -> Any:
    side = 4 * SIDE
    pixels = np.asarray(image.resize((side, side), how), dtype=np.float64)
    places = np.arange(side)
    # The cosine transform, type II, of rows and columns; the lowest frequencies alone are wanted.
    waves = 2.0 * np.cos(np.pi * np.outer(places[:SIDE], 2 * places + 1) / (2 * side))
    low = waves @ pixels @ waves.T
    return low > np.median(low)


_HASHES: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "average": _average,
    "difference": _difference,
    "perceptual": _perceptual,
}
HASHES: Final = tuple(_HASHES)
