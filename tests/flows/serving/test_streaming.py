"""Answers as event streams: prompt flow's frames and choice of media type, and what happens when somebody leaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from pilothouse.flows.settings import ServingSettings

from ..building import FakeModels, Project, llm, python, tool
from ..running.test_streams import EndlessModels
from .serving import STREAM, Served, frames, run, served

BOTH = {"accept": "text/event-stream;q=0.9, application/json"}


@pytest.fixture
def asking(project: Project) -> Path:
    return project.flow(
        [
            llm("ask", inputs={"text": "${inputs.text}", "size": "${size.output}"}),
            python("size", inputs={"text": "${inputs.text}"}),
        ],
        inputs={"text": "string"},
        outputs={"answer": "${ask.output}", "size": "${size.output}"},
        files={"ask.jinja2": "user:\n{{text}}\n", "size.py": tool("size", "text: str", "return len(text)")},
    )


def whole(project: Project) -> Path:
    return project.flow([python("size")], outputs={"size": "${size.output}"},
                        files={"size.py": tool("size", "", "return 1")})  # fmt: skip


def dripping(project: Project) -> Path:
    """A generator that gives its second piece when a file is there."""
    source = """
    from pathlib import Path
    from time import sleep
    from pilothouse import tool
    @tool
    def drip(go: str):
        yield "first"
        while not Path(go).exists():
            sleep(0.01)
        yield "second"
    """
    return project.flow([python("drip", inputs={"go": "${inputs.go}"})], inputs={"go": "string"},
                        outputs={"out": "${drip.output}"}, files={"drip.py": source})  # fmt: skip


def test_frames_are_prompt_flows_byte_by_byte(asking: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            for accept in (STREAM, BOTH):
                status, text, headers = await server.score({"text": "é \u2028b"}, **accept)
                assert (status, headers["content-type"].split(";")[0]) == (200, "text/event-stream")
                assert text == 'data: {"size": 4}\n\ndata: {"answer": "\\u00e9 "}\n\ndata: {"answer": "\\u2028b "}\n\n'
                assert headers["x-trace-id"]
                assert headers["traceparent"]

    run(go())


def test_who_does_not_ask_for_a_stream_gets_the_joined_text(asking: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            for accept in ("*/*", "application/json", "application/*", "text/html, */*;q=0.1"):
                assert (await server.score({"text": "a b"}, accept=accept))[:2] == (200, {"answer": "a b", "size": 3})

    run(go())


def test_a_form_that_the_flow_does_not_answer_in_is_406(asking: Path, tmp_path: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            status, body, _ = await server.score({"text": "a"}, accept="text/html")
            assert (status, body["error"]["code"]) == (406, "UserError")
            assert "text/event-stream, application/json" in body["error"]["message"]
        async with served(whole(Project(tmp_path / "whole"))) as server:
            assert (await server.score({}, **STREAM))[0] == 406
            assert (await server.score({}, **BOTH))[:2] == (200, {"size": 1})

    run(go())


def test_a_client_that_asks_is_told_tokens_at_the_end(asking: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            _, text, headers = await server.score({"text": "a"}, x_pilothouse_details="1", **STREAM)
            last = text.split("\n\n")[-2]
            assert last.startswith("event: end\ndata: ")
            told = json.loads(last.partition("data: ")[2])
            assert (told["status"], told["input_tokens"], told["output_tokens"]) == ("completed", 10, 2)
            assert told["trace_id"] == headers["x-trace-id"]

    run(go())


def test_a_failure_in_mid_stream_is_a_frame_of_its_own(project: Project) -> None:
    source = "from pilothouse import tool\n@tool\ndef gen():\n    yield 'a'\n    raise ValueError('broken off')\n"
    path = project.flow([python("gen")], outputs={"out": "${gen.output}"}, files={"gen.py": source})

    async def go() -> None:
        async with served(path) as server:
            status, text, _ = await server.score({}, **STREAM)
            first, error = text.split("\n\n")[:2]
            assert (status, first) == (200, 'data: {"out": "a"}')
            assert error.startswith("event: error\ndata: ")
            assert json.loads(error.partition("data: ")[2])["error"]["node"] == "gen"
            await server.until(lambda: bool(server.spans("POST /score")))
            assert not server.spans("POST /score")[0].status.is_ok

    run(go())


def test_a_piece_that_json_cannot_hold_ends_the_stream_with_an_error(project: Project) -> None:
    source = "from pilothouse import tool\n@tool\ndef gen():\n    yield 'a'\n    yield object()\n"
    path = project.flow([python("gen")], outputs={"out": "${gen.output}"}, files={"gen.py": source})

    async def go() -> None:
        async with served(path) as server:
            _, text, _ = await server.score({}, **STREAM)
            assert text.endswith("\n\n")
            assert "event: error" in text

    run(go())


def test_no_frame_waits_for_the_one_before_to_be_acknowledged(asking: Path) -> None:
    async def go() -> None:
        async with served(asking, models=FakeModels()) as server:
            _, writer = await server.raw()
            await server.until(lambda: bool(server.server.server_state.connections))
            (connection,) = server.server.server_state.connections
            found = connection.transport.get_extra_info("socket")  # type: ignore[union-attr]
            assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()

    run(go())


def test_pieces_reach_the_client_as_they_are_given(project: Project, tmp_path: Path) -> None:
    path, mark = dripping(project), tmp_path / "go"

    async def go() -> None:
        async with (
            served(path) as server,
            server.session.post(f"{server.address}/score", json={"go": str(mark)}, headers=STREAM) as response,
        ):
            assert await response.content.readuntil(b"\n\n") == b'data: {"out": "first"}\n\n'
            mark.touch()
            assert await response.content.read() == b'data: {"out": "second"}\n\n'

    run(go())


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_client_that_leaves_stops_the_line_and_the_model(asking: Path, accept: str) -> None:
    models = EndlessModels()
    fake = models.fake
    fake.delay = 3600

    async def go() -> None:
        async with served(asking, models=models if "stream" in accept else FakeModelsWith(fake)) as server:
            reader, writer = await server.raw()
            body = b'{"text": "x"}'
            head = f"POST /score HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: {accept}\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
            if "stream" in accept:
                await reader.readuntil(b'"answer": "3 "')
            else:
                await server.until(lambda: bool(fake.requests))
            writer.close()
            await server.until(lambda: bool(server.spans("POST /score")))
            assert models.endless.closed.is_set() if "stream" in accept else fake.cancelled == 1
            (span,) = server.spans("POST /score")
            assert span.attributes is not None
            assert span.attributes["http.response.status_code"] == 499
            assert server.spans("flow flow")
            assert (await server.get("/health"))[1]["running"] == 0

    run(go())


class FakeModelsWith(FakeModels):
    """Models that lead to one client."""

    def __init__(self, fake: object) -> None:
        super().__init__()
        self.fake = fake  # type: ignore[assignment]


def test_a_client_that_reads_nothing_stops_the_line_in_the_end(asking: Path) -> None:
    models = EndlessModels()
    models.endless.more = "x" * 100_000

    async def go() -> None:
        async with served(asking, models=models, limits=ServingSettings(send_timeout=0.3)) as server:
            _, writer = await server.raw()
            body = b'{"text": "x"}'
            writer.write(b"POST /score HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n")
            writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            await server.until(models.endless.closed.is_set)
            await server.until(lambda: bool(server.spans("POST /score")))
            writer.close()

    run(go())


def test_a_signal_lets_streams_in_flight_end_whole(project: Project, tmp_path: Path) -> None:
    path, mark = dripping(project), tmp_path / "go"

    async def one(server: Served, ready: asyncio.Semaphore) -> bytes:
        async with server.session.post(f"{server.address}/score", json={"go": str(mark)}, headers=STREAM) as response:
            first = await response.content.readuntil(b"\n\n")
            ready.release()
            return first + await response.content.read()

    async def go() -> None:
        async with served(path) as server:
            ready = asyncio.Semaphore(0)
            _, kept = await server.raw()
            asking = [asyncio.create_task(one(server, ready)) for _ in range(5)]
            for _ in asking:
                await ready.acquire()
            os.kill(os.getpid(), signal.SIGTERM)
            await server.until(lambda: not server.server.servers[0].is_serving())
            with pytest.raises(OSError):
                await server.raw()
            mark.touch()
            for text in await asyncio.gather(*asking):
                assert frames(text.decode()) == [{"out": "first"}, {"out": "second"}]
            kept.close()
        assert server.server.cut == 0

    run(go())
