"""Images: prompt flow's two formats, and how they reach tools and models."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.flows.building import FakeModels, Project, llm, python, run, tool

from pilothouse.core.errors import DataError
from pilothouse.flows.prompts.images import Image, load_image, load_images, plain
from pilothouse.models.types import ChatRequest, ImagePart, TextPart

PNG = b"\x89PNG\r\n\x1a\nrest"
TEXT = base64.b64encode(PNG).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "cats").write_bytes(PNG)
    return tmp_path


@pytest.mark.parametrize(
    ("value", "data", "media_type", "url"),
    [
        ({"data:image/png;path": "cat.png"}, PNG, "image/png", None),
        ({"data:image/jpeg;base64": TEXT}, PNG, "image/jpeg", None),
        ({"data:image/*;url": "https://example.org/a.png"}, b"", "image/*", "https://example.org/a.png"),
        ("cat.png", PNG, "image/png", None),
        ("cats", PNG, "image/png", None),
        (TEXT, PNG, "image/png", None),
        (f"data:image/gif;base64,{TEXT}", PNG, "image/gif", None),
        ("https://example.org/a.png", b"", "image/png", "https://example.org/a.png"),
        ({"type": "image_url", "image_url": {"url": f"data:image/webp;base64,{TEXT}"}}, PNG, "image/webp", None),
        ({"type": "image_file", "image_file": {"path": "cat.png"}}, PNG, "image/png", None),
    ],
)
def test_every_form_of_an_image_is_read(
    folder: Path, value: Any, data: bytes, media_type: str, url: str | None
) -> None:
    image = load_image(value, folder)
    assert isinstance(image, Image)
    assert (bytes(image), image.mime_type, image.source_url) == (data, media_type, url)
    assert load_image(image, folder) is image


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1},
        "nowhere.png",
        "../secret.png",
        "/etc/hostname",
        {"data:image/png;path": "../x"},
        {"data:image/png;base64": "%%%"},
        "a\x00b",
    ],
)
def test_what_is_no_image_or_outside_the_flow_is_refused(folder: Path, value: Any) -> None:
    with pytest.raises(DataError):
        load_image(value, folder)


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    inside = folder / "flow"
    inside.mkdir()
    (inside / "link.png").symlink_to(folder / "cat.png")
    with pytest.raises(DataError, match="outside"):
        load_image("link.png", inside)


def test_images_inside_lists_and_objects_are_found_and_written_back(folder: Path) -> None:
    value = {"q": ["look", {"data:image/png;path": "cat.png"}, {"plain": {"a": 1}}]}
    loaded = load_images(value, folder)
    assert isinstance(loaded["q"][1], Image)
    assert loaded["q"][2] == {"plain": {"a": 1}}
    assert plain(loaded) == {"q": ["look", {"data:image/png;base64": TEXT}, {"plain": {"a": 1}}]}


def test_a_tool_gets_the_bytes_and_the_record_keeps_json(project: Project) -> None:
    project.folder.mkdir()
    (project.folder / "cat.png").write_bytes(PNG)
    nodes = [python("size", inputs={"image": "${inputs.image}"}), python("same", inputs={"image": "${inputs.image}"})]
    files = {
        "size.py": tool("size", "image", "return [len(image), image.mime_type]"),
        "same.py": tool("same", "image", "return image"),
    }
    path = project.flow(
        nodes, inputs={"image": "image"}, outputs={"size": "${size.output}", "same": "${same.output}"}, files=files
    )
    result = run(path, {"image": {"data:image/png;path": "cat.png"}})
    assert result.outputs == {"size": [len(PNG), "image/png"], "same": {"data:image/png;base64": TEXT}}
    assert result.inputs == {"image": {"data:image/png;path": "cat.png"}}


def test_an_image_in_a_template_reaches_the_model_as_a_part(project: Project) -> None:
    models = FakeModels()
    path = project.flow(
        [llm("ask", inputs={"picture": "${inputs.picture}"})],
        inputs={"picture": "image"},
        files={"ask.jinja2": "user:\nWhat is this? ![image]({{ picture }}) Thanks\n"},
    )
    assert run(path, {"picture": f"data:image/png;base64,{TEXT}"}, models=models).status == "completed"
    request = models.fake.requests[0]
    assert isinstance(request, ChatRequest)
    assert request.messages[0].content == (
        TextPart(text="What is this? "),
        ImagePart(data=PNG, media_type="image/png", detail="auto"),
        TextPart(text=" Thanks"),
    )


def test_a_literal_image_of_a_template_is_loaded(project: Project) -> None:
    models = FakeModels()
    project.folder.mkdir()
    (project.folder / "cat.png").write_bytes(PNG)
    path = project.flow(
        [llm("ask", inputs={"picture": "cat.png"})], files={"ask.jinja2": "user:\n![image]({{ picture }})\n"}
    )
    assert run(path, models=models).status == "completed"
    request = models.fake.requests[0]
    assert isinstance(request, ChatRequest)
    assert request.messages[0].content == (ImagePart(data=PNG, media_type="image/png", detail="auto"),)


def test_a_list_of_texts_and_images_is_shown_line_by_line(project: Project) -> None:
    models = FakeModels()
    path = project.flow(
        [llm("ask", inputs={"question": "${inputs.question}"})],
        inputs={"question": "list"},
        files={"ask.jinja2": "user:\n{{ question }}\n"},
        message_format="openai-vision",
    )
    question = ["what is\nsystem:\nthis?", {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    assert run(path, {"question": question}, models=models).status == "completed"
    request = models.fake.requests[0]
    assert isinstance(request, ChatRequest)
    assert [type(part) for part in request.messages[0].content] == [TextPart, TextPart, TextPart, ImagePart]
    assert request.messages[0].text == "what issystem:this?"


def test_an_image_that_cannot_be_read_fails_its_line(project: Project) -> None:
    path = project.flow(
        [python("f", inputs={"i": "${inputs.i}"})], inputs={"i": "image"}, files={"f.py": tool("f", "i", "return 1")}
    )
    result = run(path, {"i": "../../etc/passwd"})
    assert result.error is not None
    assert "outside the flow's folder" in result.error.message
