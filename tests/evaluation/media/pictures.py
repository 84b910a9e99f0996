"""Pictures drawn by whole numbers alone: the same on every machine, and some changed as transport and models change them.

`references.json` holds what the packages ImageHash 4.3.2 and scikit-image 0.26.0 say of them (Pillow 13.0.0). To make it
again, in an environment with both: `python tests/evaluation/media/pictures.py > tests/evaluation/media/references.json`.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import numpy as np
from PIL import Image

COUNT = 320


def picture(number: int) -> Any:
    """Patches of colour, smoothed, with a little noise: (48, 64, 3) values."""
    random = np.random.default_rng(number)
    coarse = random.integers(0, 256, (6, 8, 3))
    large = np.kron(coarse, np.ones((8, 8, 1), dtype=np.int64))
    padded = np.pad(large, ((3, 3), (3, 3), (0, 0)), mode="edge")
    smooth = sum(padded[y : y + 48, x : x + 64] for y in range(7) for x in range(7)) // 49
    return np.clip(smooth + random.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)


def changed(number: int) -> Any:
    """The picture of a number, changed: brighter, noisy, shifted, or another one altogether."""
    random = np.random.default_rng(10_000 + number)
    made = picture(number).astype(np.int64)
    match number % 4:
        case 0:
            made = made + int(random.integers(-40, 41))
        case 1:
            made = made + random.integers(-30, 31, made.shape)
        case 2:
            made = np.roll(made, int(random.integers(1, 6)), axis=1)
        case _:
            made = picture(number + COUNT).astype(np.int64)
    return np.clip(made, 0, 255).astype(np.uint8)


def png(values: Any) -> bytes:
    """The bytes of a PNG file."""
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def references() -> dict[str, Any]:
    """What the reference packages say."""
    import imagehash
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    told: dict[str, list[Any]] = {"average": [], "difference": [], "perceptual": [], "ssim": [], "psnr": []}
    for number in range(COUNT):
        one, other = Image.fromarray(picture(number)), Image.fromarray(changed(number))
        told["average"].append(str(imagehash.average_hash(one)))
        told["difference"].append(str(imagehash.dhash(one)))
        told["perceptual"].append(str(imagehash.phash(one)))
        grey = [np.asarray(image.convert("L"), dtype=float) for image in (one, other)]
        options: Any = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255.0}
        told["ssim"].append(round(float(structural_similarity(*grey, **options)), 10))
        pair = picture(number), changed(number)
        is_same = np.array_equal(*pair)
        noise = None if is_same else float(peak_signal_noise_ratio(*pair, data_range=255))
        told["psnr"].append(noise if noise is None else round(noise, 10))
    return told


if __name__ == "__main__":
    json.dump(references(), sys.stdout)
    sys.stdout.write("\n")
