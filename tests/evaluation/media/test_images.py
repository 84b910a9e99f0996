"""Images and frames of videos, against scikit-image and ImageHash."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from tests.evaluation.evaluators.test_metrics import figures, judge

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.metrics.media.pictures import HASHES, Pictures, differences, ssim
from pilothouse.evaluation.types import EvaluatorSpec, Score
from pilothouse.flows.prompts.images import Image

from .pictures import COUNT, changed, picture, png

TOLD: dict[str, list[Any]] = json.loads((Path(__file__).parent / "references.json").read_text(encoding="utf-8"))
PICTURES = Pictures("a test")


def load(root: Path, source: str, **options: Any) -> Evaluator:
    return load_evaluator(EvaluatorSpec(name=source, source=source, options=options), root, lambda *_: None)  # type: ignore[arg-type,return-value]


def scores(evaluator: Evaluator, prediction: Any, truth: Any) -> dict[str, Score]:
    rows = judge(evaluator, [{"prediction": prediction, "truth": truth}]).rows
    return {score.name: score for score in rows[0].scores}


def recorded(data: bytes, kind: str = "image/png") -> dict[str, str]:
    return {f"data:{kind};base64": base64.b64encode(data).decode()}


@pytest.mark.parametrize("kind", HASHES)
def test_hashes_are_those_of_imagehash(kind: Any) -> None:
    for number in range(COUNT):
        bits = PICTURES.bits(Pillow.fromarray(picture(number)), kind)
        assert f"{int(''.join('01'[bit] for bit in bits), 2):016x}" == TOLD[kind][number]


def test_pixels_are_those_of_scikit_image() -> None:
    for number in range(COUNT):
        one, other = Pillow.fromarray(picture(number)), Pillow.fromarray(changed(number))
        found = ssim(PICTURES.luminance(one), PICTURES.luminance(other))
        assert found == pytest.approx(TOLD["ssim"][number], abs=1e-9)
        mae, rmse, noise = differences(PICTURES.colours(one), PICTURES.colours(other))
        assert noise == (pytest.approx(TOLD["psnr"][number], abs=1e-9) if TOLD["psnr"][number] is not None else None)
        apart = picture(number).astype(float) - changed(number).astype(float)
        assert (mae, rmse) == pytest.approx((np.abs(apart).mean(), np.sqrt((apart**2).mean())), abs=1e-9)


def test_an_image_is_judged_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "wanted.png").write_bytes(png(picture(1)))
    data = png(picture(1))
    pixels = load(tmp_path, "image_pixels")
    text = base64.b64encode(data).decode()
    for form in (recorded(data), Image(data), "wanted.png", text, f"data:image/png;base64,{text}"):
        found = scores(pixels, form, "wanted.png")
        assert (found["image_mae"].value, found["image_ssim"].value) == (0.0, pytest.approx(1.0))
        assert found["image_psnr"].state == "abstained"


def test_what_is_transparent_lies_on_black(tmp_path: Path) -> None:
    clear = np.zeros((16, 16, 4), dtype=np.uint8)
    clear[..., :3] = 200
    found = scores(load(tmp_path, "image_pixels"), recorded(png(clear)), recorded(png(np.zeros((16, 16, 3), np.uint8))))
    assert found["image_mae"].value == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "no image at all",
        "../outside.png",
        "https://example.invalid/a.png",
        recorded(b"\x89PNG broken"),
        3,
        {},
        [],
    ],
)
@pytest.mark.parametrize("source", ["image_pixels", "image_hash", "video_hash"])
def test_an_answer_that_is_no_image_is_a_state(tmp_path: Path, source: str, answer: Any) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside.png").write_bytes(png(picture(1)))
    found = scores(load(tmp_path / "inside", source), answer, recorded(png(picture(1))))
    if source == "video_hash" and answer == []:
        assert found["video_hash"].value == 0.0
    else:
        assert {score.state for score in found.values()} == {"unparsable"}


def test_a_reference_that_is_no_image_is_an_error_of_the_data(tmp_path: Path) -> None:
    for source in ("image_pixels", "image_hash", "video_hash"):
        found = scores(load(tmp_path, source), recorded(png(picture(1))), "gone.png")
        assert {score.state for score in found.values()} == {"error"}


def test_sizes_must_agree_unless_they_are_made_to(tmp_path: Path) -> None:
    small = recorded(png(picture(1)[::2, ::2]))
    found = scores(load(tmp_path, "image_pixels"), small, recorded(png(picture(1))))
    assert {score.state for score in found.values()} == {"unparsable"}
    assert "(32, 24)" in found["image_mae"].evidence["why"]
    resized = scores(load(tmp_path, "image_pixels", resize=True), small, recorded(png(picture(1))))
    assert 0.5 < resized["image_ssim"].value < 1.0  # type: ignore[operator]


def test_a_hash_tells_likeness_and_sameness(tmp_path: Path) -> None:
    near = np.clip(picture(5).astype(int) + 12, 0, 255).astype(np.uint8)
    evaluator = load(tmp_path, "image_hash")
    rows: list[Any] = [
        {"prediction": recorded(png(near)), "truth": recorded(png(picture(5)))},
        {"prediction": recorded(png(picture(6))), "truth": recorded(png(picture(5)))},
        None,
    ]
    found = figures(judge(evaluator, rows))
    assert found["image_same"].value == pytest.approx(1 / 3)
    assert found["image_same"].counted == {"failed": 1}
    with pytest.raises(ConfigError, match="no hash"):
        load(tmp_path, "image_hash", kind="magic")


def animated(numbers: list[int], kind: str) -> bytes:
    out = io.BytesIO()
    frames = [Pillow.fromarray(picture(number)) for number in numbers]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], lossless=True, duration=40)
    return out.getvalue()


def test_a_video_is_a_list_a_folder_or_an_animation(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for place, number in enumerate((1, 2, 3)):
        (tmp_path / "frames" / f"{place:03}.png").write_bytes(png(picture(number)))
    listed = [recorded(png(picture(number))) for number in (1, 2, 3)]
    video = load(tmp_path, "video_hash")
    for answer in (listed, "frames", recorded(animated([1, 2, 3], "WEBP"), "image/webp")):
        found = scores(video, answer, listed)["video_hash"]
        assert found.evidence["frames"] == [3, 3]
        assert found.value == pytest.approx(1.0)
    gif = scores(video, recorded(animated([1, 2, 3], "GIF"), "image/gif"), listed)["video_hash"]
    assert gif.value > 0.9  # type: ignore[operator]  # a GIF has 256 colours
    short = scores(video, listed[:2], listed)["video_hash"]
    assert short.value == pytest.approx(2 / 3)
    turned = scores(video, listed[::-1], listed)["video_hash"]
    assert turned.value < 0.9  # type: ignore[operator]
    few = scores(load(tmp_path, "video_hash", most=1), listed, listed)["video_hash"]
    assert few.evidence["frames"] == [1, 1]
