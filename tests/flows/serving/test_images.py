"""Images in requests and answers, in both formats; files of this machine are not read for a client."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from pilothouse.models.types import ChatRequest, ImagePart

from ..building import FakeModels, Project, answer, llm, python, tool
from .serving import run, served

DATA = b"\x89PNG" + b"0" * 8
PNG = base64.b64encode(DATA).decode()
BASIC = {"data:image/png;base64": PNG}
VISION = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


def showing(project: Project, form: str) -> Path:
    files = {"see.jinja2": "user:\n![image]({{picture}})\n", "give.py": tool("give", "picture", "return picture"),
             "secret.png": "not for clients"}  # fmt: skip
    return project.flow(
        [llm("see", inputs={"picture": "${inputs.picture}"}), python("give", inputs={"picture": "${inputs.picture}"})],
        inputs={"picture": "image"}, outputs={"text": "${see.output}", "picture": "${give.output}"},
        files=files, message_format=form,
    )  # fmt: skip


@pytest.mark.parametrize(("form", "given", "shown"), [("basic", BASIC, BASIC), ("openai-vision", VISION, VISION),
                                                     ("openai-vision", BASIC, VISION), ("basic", PNG, BASIC)])  # fmt: skip
def test_an_image_goes_to_the_model_and_comes_back(project: Project, form: str, given: Any, shown: Any) -> None:
    seen: list[Any] = []

    def look(request: Any) -> Any:
        assert isinstance(request, ChatRequest)
        seen.extend(part for part in request.messages[-1].content if isinstance(part, ImagePart))
        return answer("a cat")

    async def go() -> None:
        async with served(showing(project, form), models=FakeModels(look)) as server:
            status, body, _ = await server.score({"picture": given})
            assert (status, body) == (200, {"text": "a cat", "picture": shown})
            assert len(seen) == 1

    run(go())


FILES = {
    "path": {"data:image/png;path": "secret.png"},
    "file name": "secret.png",
    "vision file": {"type": "image_file", "image_file": {"path": "secret.png"}},
    "vision url": {"type": "image_url", "image_url": {"url": "secret.png"}},
    "deep inside": {"a": [{"b": {"data:image/png;path": "secret.png"}}]},
}


@pytest.mark.parametrize("case", FILES)
def test_a_client_cannot_name_a_file_of_the_server(project: Project, case: str) -> None:
    async def go() -> None:
        async with served(showing(project, "basic"), models=FakeModels()) as server:
            status, body, _ = await server.score({"picture": FILES[case]})
            assert (status, "names a file" in body["error"]["message"]) == (400, True)
            assert "not for clients" not in str(body)

    run(go())
