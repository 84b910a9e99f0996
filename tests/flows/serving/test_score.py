"""`POST /score`: inputs in, outputs out, and every failure in prompt flow's form with the status it deserves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import ModelError
from pilothouse.flows.serving.types import Site
from pilothouse.flows.settings import FlowSettings

from ..building import FakeModels, Project, echo, llm, python, tool, write
from .serving import STREAM, frames, run, served

ASK = {"ask.jinja2": "user:\n{{text}}\n"}


@pytest.fixture
def asking(project: Project) -> Path:
    return project.flow(
        [llm("ask", inputs={"text": "${inputs.text}"})],
        inputs={"text": "string", "count": {"type": "int", "default": 3}},
        outputs={"answer": "${ask.output}", "count": "${inputs.count}"},
        files=ASK,
    )


def failing(project: Project, body: str, **inputs: Any) -> Path:
    return project.flow([python("work", inputs=inputs)], inputs={"text": {"type": "string", "default": "x"}},
                        outputs={"out": "${work.output}"}, files={"work.py": tool("work", "", body)})  # fmt: skip


def test_inputs_give_outputs_with_ids_tokens_and_time(asking: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            status, body, headers = await server.score({"text": "a b", "others": 1}, x_request_id="r-1")
            assert (status, body) == (200, {"answer": "a b", "count": 3})
            assert (headers["x-request-id"], headers["x-ms-client-request-id"]) == ("r-1", "r-1")
            assert (headers["x-input-tokens"], headers["x-output-tokens"]) == ("10", "2")
            (span,) = server.spans("POST /score")
            assert headers["x-trace-id"] == f"{span.context.trace_id:032x}"
            assert span.attributes is not None
            assert span.attributes["request_id"] == "r-1"
            (line,) = server.spans("flow flow")
            assert line.parent is not None
            assert line.parent.span_id == span.context.span_id

    run(go())


def test_a_request_belongs_to_the_trace_and_ids_that_its_client_names(asking: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"

    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            parent = f"00-{trace}-b7ad6b7169203331-01"
            *_, headers = await server.score({"text": "a"}, traceparent=parent, x_ms_client_request_id="mine")
            assert headers["x-trace-id"] == trace
            assert (headers["x-request-id"], headers["x-ms-client-request-id"]) == ("mine", "mine")
            *_, headers = await server.score({"text": "a"}, x_ms_client_request_id="c", x_request_id="r")
            assert (headers["x-request-id"], headers["x-ms-client-request-id"]) == ("r", "c")
            *_, headers = await server.score({"text": "a"}, x_request_id="x" * 300, traceparent="nonsense")
            assert len(headers["x-request-id"]) == 26

    run(go())


BAD = {
    "missing": ({"count": 1}, 400, "inputs are missing: 'text' (string)"),
    "wrong type": ({"text": "a", "count": "many"}, 400, "the input 'count' is 'many', which is not of the type int"),
    "no object": ([1, 2], 400, "JSON array"),
    "no JSON": (b"{text: 1", 400, "the body is not JSON"),
    "too deep": (b'{"text": ' + b"[" * 100_000, 400, "the body is not JSON"),
    "no UTF-8": (b'{"text": "\xff"}', 400, "the body is not JSON"),
    "nothing": (b"", 400, "inputs are missing"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_input_is_named_with_400(asking: Path, case: str) -> None:
    given, status, text = BAD[case]

    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            found, body, headers = await server.score(given)
            assert (found, body["error"]["code"]) == (status, "UserError")
            assert text in body["error"]["message"]
            assert "line 0" not in body["error"]["message"]
            assert headers["x-request-id"]

    run(go())


def test_a_text_that_is_not_json_is_the_only_input_of_a_flow(project: Project) -> None:
    path = project.flow([python("work", inputs={"text": "${inputs.text}"})], inputs={"text": "string"},
                        outputs={"out": "${work.output}"}, files={"work.py": tool("work", "text", "return text")})  # fmt: skip

    async def go() -> None:
        async with served(path) as server:
            assert (await server.score(b"just a text"))[:2] == (200, {"out": "just a text"})
            form = {"content_type": "application/x-www-form-urlencoded"}
            assert (await server.score({"text": "y"}, **form))[:2] == (200, {"out": "y"})
            for kind in ("application/xml", "multipart/form-data; boundary=x", "image/png"):
                assert (await server.score({"text": "y"}, content_type=kind))[0] == 415
            assert (await server.score(b"x", content_encoding="gzip"))[0] == 415

    run(go())


def test_a_tool_that_fails_is_500_with_its_node_and_without_secrets_or_traceback(project: Project) -> None:
    path = failing(project, "raise ValueError('no luck with topsecretkey123')")

    async def go() -> None:
        async with served(path, secrets=("topsecretkey123",)) as server:
            for headers in ({}, STREAM):
                status, body, answered = await server.score({}, **headers)
                error = body["error"]
                assert (status, error["code"], error["node"], error["type"]) == (
                    500,
                    "SystemError",
                    "work",
                    "ValueError",
                )
                assert error["message"] == "node 'work' failed: ValueError: no luck with ***"
                assert error["trace_id"] == answered["x-trace-id"]
                assert "Traceback" not in str(body)

    run(go())


def test_a_model_that_fails_is_502_and_a_flow_that_takes_too_long_504(asking: Path, tmp_path: Path) -> None:
    def refuse(request: Any) -> Any:
        raise ModelError("HTTP 401: who are you", status=401)

    slow = failing(Project(tmp_path / "slow"), "import time; time.sleep(1)")

    async def go() -> None:
        async with served(asking, models=FakeModels(refuse)) as server:
            status, body, _ = await server.score({"text": "x"})
            assert (status, body["error"]["code"], body["error"]["node"]) == (502, "SystemError", "ask")
        async with served(slow, settings=FlowSettings(line_timeout=0.1)) as server:
            status, body, _ = await server.score({})
            assert (status, body["error"]["message"]) == (504, "the line took longer than 0.1 s")

    run(go())


def test_an_output_that_json_cannot_hold_is_told(project: Project) -> None:
    async def go() -> None:
        async with served(failing(project, "return object()")) as server:
            status, body, _ = await server.score({})
            assert (status, "a object has no form in JSON" in body["error"]["message"]) == (500, True)

    run(go())


def test_numbers_of_numpy_are_numbers(project: Project) -> None:
    async def go() -> None:
        async with served(
            failing(project, "import numpy; return {'a': numpy.float64(0.5), 'b': numpy.arange(2)}")
        ) as server:
            assert (await server.score({}))[:2] == (200, {"out": {"a": 0.5, "b": [0, 1]}})

    run(go())


def test_unknown_paths_and_methods_are_told_as_json(asking: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            status, body, _ = await server.get("/scores")
            assert (status, body["error"]["code"]) == (404, "UserError")
            assert "/score" in body["error"]["message"]
            status, body, headers = await server.get("/score")
            assert (status, headers["allow"]) == (405, "POST")
            assert (await server.get("/page/..%2F..%2Fapp.py"))[0] == 404

    run(go())


def test_health_and_version_have_prompt_flows_form_and_more(asking: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels(), site=Site(build='{"build_number": "7"}')) as server:
            status, body, _ = await server.get("/health")
            assert (status, body["status"], body["running"]) == (200, "Healthy", 0)
            assert body["version"]
            status, body, _ = await server.get("/version")
            assert (body["status"], body["version"], body["build_info"]) == ("Healthy", "7", '{"build_number": "7"}')
            assert len(body["flow"]["digest"]) == 64

    run(go())


def test_outputs_for_evaluation_and_those_not_chosen_stay_here(project: Project) -> None:
    path = project.flow(
        [python("work")], files={"work.py": tool("work", "", "return 1")},
        outputs={"a": "${work.output}", "b": "${work.output}",
                 "secret": {"type": "int", "reference": "${work.output}", "evaluation_only": True}},
    )  # fmt: skip

    async def go() -> None:
        async with served(path) as server:
            assert (await server.score({}))[1] == {"a": 1, "b": 1}
            assert "secret" not in str(await server.get("/swagger.json"))
        async with served(path, site=Site(included=("secret", "b"))) as server:
            assert (await server.score({}))[1] == {"b": 1, "secret": 1}

    run(go())


def test_what_a_flex_flow_or_prompty_returns_by_itself_is_the_body(tmp_path: Path) -> None:
    flex = write(tmp_path / "flex", {"flow.flex.yaml": "entry: main:run\n", "main.py": "def run(text: str):\n    return text.upper()\n"})  # fmt: skip
    mapping = write(tmp_path / "map", {"flow.flex.yaml": "entry: main:run\n", "main.py": "def run(text: str):\n    return {'output': text}\n"})  # fmt: skip
    prompty = tmp_path / "a.prompty"
    prompty.write_text("---\nmodel:\n  configuration: {connection: fake, model: tiny}\ninputs:\n  text: {type: string}\n"
                       "sample:\n  text: sampled\n---\nuser:\n{{text}}\n")  # fmt: skip

    async def go() -> None:
        async with served(flex) as server:
            assert (await server.score({"text": "a"}))[1] == "A"
        async with served(mapping) as server:
            assert (await server.score({"text": "a"}))[1] == {"output": "a"}
        async with served(prompty, models=FakeModels(echo)) as server:
            assert (await server.score({"text": "a b"}))[1] == "a b"
            assert (await server.score({}))[1] == "sampled"
            assert frames((await server.score({"text": "a b"}, **STREAM))[1]) == [{"output": "a "}, {"output": "b "}]

    run(go())
