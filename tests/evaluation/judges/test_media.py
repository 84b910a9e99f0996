"""Judges that see images and hear sounds: the bytes arrive at the model, and nothing else does."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.evaluation.judges.test_judges import answer, said
from tests.evaluation.media.pictures import picture, png
from tests.evaluation.media.test_sounds import TONE, wav
from tests.flows.building import FakeModels

from pilothouse.core.errors import ConfigError
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.service import EvaluationService
from pilothouse.evaluation.session import EvaluationSession
from pilothouse.evaluation.types import EvaluationRow, EvaluatorSpec, ScoredRow
from pilothouse.models.types import AudioPart, ImagePart, TextPart
from pilothouse.workspace import Workspace

IMAGE, SOUND = png(picture(1)), wav(TONE)
RECORDED = {"data:image/png;base64": base64.b64encode(IMAGE).decode()}


def judged(evaluator: Any, arguments: dict[str, Any]) -> ScoredRow:
    async def run() -> ScoredRow:
        async with EvaluationSession([evaluator]) as session:
            return await session.score(EvaluationRow(id="1", arguments={evaluator.name: arguments}), 0)

    return asyncio.run(run())


def seen_by(
    root: Path, arguments: dict[str, Any], source: str = "judge", **options: Any
) -> tuple[ScoredRow, list[Any]]:
    seen: list[Any] = []

    def reply(request: Any) -> Any:
        seen.append(request.messages[-1].content)
        return answer(said("tie" if source == "pairwise" else "yes"))

    spec = EvaluatorSpec(name="j", source=source, options={"question": "Is it so?", "connection": "fake", **options})
    return judged(load_evaluator(spec, root, None, FakeModels(reply)), arguments), seen  # type: ignore[arg-type]


def test_a_recorded_image_is_shown_beside_its_row(tmp_path: Path) -> None:
    row, (content,) = seen_by(tmp_path, {"question": "A cat?", "picture": RECORDED, "answer": "Yes."})
    assert row.scores[0].value is True
    fenced, label, image = content
    assert "(image 1)" in fenced.text
    assert "A cat?" in fenced.text
    assert RECORDED["data:image/png;base64"][:40] not in fenced.text
    assert "image 1" in label.text
    assert "no instruction" in label.text
    assert image == ImagePart(data=IMAGE, media_type="image/png")


def test_files_addresses_and_sounds_are_shown_where_the_judge_says_so(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(IMAGE)
    (tmp_path / "hello.wav").write_bytes(SOUND)
    arguments = {
        "pictures": ["cat.png", "https://example.invalid/cat.png", RECORDED],
        "voice": "hello.wav",
        "kept": {"data:audio/wav;base64": base64.b64encode(SOUND).decode()},
        "answer": "cat.png",
    }
    _, (content,) = seen_by(tmp_path, arguments, media={"pictures": "image", "voice": "audio"})
    parts = [part for part in content if not isinstance(part, TextPart)]
    assert parts == [
        ImagePart(data=IMAGE, media_type="image/png"),
        ImagePart(url="https://example.invalid/cat.png"),
        ImagePart(data=IMAGE, media_type="image/png"),
        AudioPart(data=SOUND, format="wav"),
        AudioPart(data=SOUND, format="wav"),
    ]
    assert '["(image 1)", "(image 2)", "(image 3)"]' in content[0].text
    assert "(sound 2)" in content[0].text
    # What nobody called an image stays a text, whatever it names.
    assert "\ncat.png\n" in content[0].text


def test_a_row_without_media_is_asked_as_ever(tmp_path: Path) -> None:
    _, (content,) = seen_by(tmp_path, {"answer": "Yes."}, media={"picture": "image"})
    assert isinstance(content, str)
    _, (content,) = seen_by(tmp_path, {"picture": None, "answer": "Yes."}, media={"picture": "image"})
    assert isinstance(content, str)


def test_two_images_are_compared_in_both_orders(tmp_path: Path) -> None:
    other = png(picture(2))
    (tmp_path / "b.png").write_bytes(other)
    arguments = {"prompt": "a cat", "candidate": RECORDED, "baseline": "b.png"}
    row, asked = seen_by(tmp_path, arguments, source="pairwise", media={"baseline": "image"})
    assert row.scores[0].value == 0.5
    orders = [[part.data for part in content if isinstance(part, ImagePart)] for content in asked]
    assert sorted(orders) == sorted([[IMAGE, other], [other, IMAGE]])


@pytest.mark.parametrize(
    ("value", "said_"),
    [
        ("gone.png", "cannot be read"),
        ("../outside.png", "outside"),
        ("secrets.txt", "image 1 of the row is none"),
        ({"data:image/png;path": "secrets.txt"}, "image 1 of the row is none"),
        ({"data:image/png;base64": "%%%"}, "base64"),
        (RECORDED, "at most 100"),
    ],
)
@pytest.mark.parametrize("source", ["judge", "pairwise"])
def test_what_cannot_be_shown_is_an_error_with_its_reason(tmp_path: Path, source: str, value: Any, said_: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "outside.png").write_bytes(IMAGE)
    (root / "secrets.txt").write_text("API_KEY=1", encoding="utf-8")
    arguments = {"picture": value, "candidate": "a", "baseline": "b"}
    options: dict[str, Any] = {"media": {"picture": "image"} if isinstance(value, str) else {}, "max_media_bytes": 100}
    row, seen = seen_by(root, arguments, source=source, **options)
    assert seen == []
    assert {score.state for score in row.scores} == {"error"}
    assert said_ in str(row.scores[0].error)


def test_an_unknown_kind_of_media_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="media"):
        seen_by(tmp_path, {}, media={"picture": "hologram"})


# Over the wire


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    """A model on this machine that keeps what it is sent, and refuses what it cannot see."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append(body)
            blind = body["model"] == "blind"
            message = {"role": "assistant", "content": said("yes")}
            reply = (
                {"error": {"message": "image input is not supported"}}
                if blind
                else {
                    "id": "1",
                    "model": "seer",
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                }
            )
            data = json.dumps(reply).encode()
            self.send_response(400 if blind else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}/v1", seen
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_the_bytes_arrive_and_a_blind_model_is_an_error_that_says_so(
    tmp_path: Path, server: tuple[str, list[Any]]
) -> None:
    address, seen = server
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "eyes.yaml").write_text(
        f"name: eyes\ntype: open_ai\nbase_url: {address}\napi_key: ${{env:EYES_API_KEY}}\n", encoding="utf-8"
    )
    (tmp_path / ".env").write_text("EYES_API_KEY=none\n", encoding="utf-8")
    (tmp_path / "hello.wav").write_bytes(SOUND)
    with Workspace(tmp_path) as workspace:
        service = workspace.get(EvaluationService)
        states = {}
        for model in ("seer", "blind"):
            options = {"question": "Is it so?", "connection": "eyes", "model": model, "media": {"voice": "audio"}}
            judge = service.load(EvaluatorSpec(name="j", source="judge", options=options), ["picture", "voice"])
            states[model] = judged(judge, {"picture": RECORDED, "voice": "hello.wav"}).scores[0]
    parts = seen[0]["messages"][-1]["content"]
    (image,) = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    (sound,) = [part["input_audio"] for part in parts if part["type"] == "input_audio"]
    assert base64.b64decode(image.removeprefix("data:image/png;base64,")) == IMAGE
    assert (base64.b64decode(sound["data"]), sound["format"]) == (SOUND, "wav")
    assert states["seer"].value is True
    assert states["blind"].state == "error"
    assert "not supported" in str(states["blind"].error)
    assert "holds images and sounds, which not every model takes" in str(states["blind"].error)
