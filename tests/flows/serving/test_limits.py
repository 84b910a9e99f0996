"""What a server refuses: too much at once, too large, too slow, keys, hosts, pages of other sites."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from pilothouse.flows.serving.types import Site
from pilothouse.flows.settings import ServingSettings
from pilothouse.models.secret import Secret

from ..building import Project, python, tool
from .serving import Served, run, served


@pytest.fixture
def echoing(project: Project) -> Path:
    return project.flow([python("work", inputs={"text": "${inputs.text}"})], inputs={"text": "string"},
                        outputs={"out": "${work.output}"}, files={"work.py": tool("work", "text", "return text")})  # fmt: skip


def waiting(project: Project) -> Path:
    """A tool that waits for a file."""
    source = """
    from asyncio import sleep
    from pathlib import Path
    from pilothouse import tool
    @tool
    async def wait(go: str):
        while not Path(go).exists():
            await sleep(0.01)
        return "gone"
    """
    return project.flow([python("wait", inputs={"go": "${inputs.go}"})], inputs={"go": "string"},
                        outputs={"out": "${wait.output}"}, files={"wait.py": source})  # fmt: skip


def test_beyond_the_queue_requests_are_sent_away_with_503(project: Project, tmp_path: Path) -> None:
    path, mark = waiting(project), tmp_path / "go"

    async def go() -> None:
        async with served(path, limits=ServingSettings(concurrency=2, queue=1, drain=20)) as server:
            first = [asyncio.create_task(server.score({"go": str(mark)})) for _ in range(3)]
            while (found := (await server.get("/health"))[1]) and (found["running"], found["waiting"]) != (2, 1):
                await asyncio.sleep(0.01)
            status, body, headers = await server.score({"go": str(mark)})
            assert (status, headers["retry-after"], body["error"]["code"]) == (503, "1", "SystemError")
            mark.touch()
            assert [status for status, *_ in await asyncio.gather(*first)] == [200, 200, 200]
            assert (await server.score({"go": str(mark)}))[0] == 200

    run(go())


def test_who_leaves_the_queue_frees_his_place(project: Project, tmp_path: Path) -> None:
    path, mark = waiting(project), tmp_path / "go"

    async def go() -> None:
        async with served(path, limits=ServingSettings(concurrency=1, queue=5, drain=20)) as server:
            gate = server.server._flow_app.scorer.gate
            first = asyncio.create_task(server.score({"go": str(mark)}))
            await server.until(lambda: gate.running == 1)
            _, writer = await server.raw()
            body = json.dumps({"go": str(mark)}).encode()
            writer.write(
                f"POST /score HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
            )
            await server.until(lambda: gate.waiting == 1)
            writer.close()
            await server.until(lambda: gate.waiting == 0)
            mark.touch()
            assert (await first)[0] == 200

    run(go())


def test_no_place_in_time_is_503(project: Project, tmp_path: Path) -> None:
    path, mark = waiting(project), tmp_path / "go"

    async def go() -> None:
        limits = ServingSettings(concurrency=1, queue=5, queue_timeout=0.1, drain=20)
        async with served(path, limits=limits) as server:
            first = asyncio.create_task(server.score({"go": str(mark)}))
            await server.until(lambda: server.server._flow_app.scorer.gate.running == 1)
            assert (await server.score({"go": str(mark)}))[0] == 503
            mark.touch()
            assert (await first)[0] == 200

    run(go())


def test_a_body_that_is_too_large_is_413_whatever_it_says_of_itself(echoing: Path) -> None:
    async def go() -> None:
        async with served(echoing, limits=ServingSettings(body_limit=1000)) as server:
            for path in ("/score", "/feedback"):
                assert await statuses(server, path, [b"x" * 1001]) == 413
                # Chunked: nothing says how much there will be.
                assert await statuses(server, path, [b"x" * 600, b"x" * 600]) == 413
            assert (await server.score({"text": "x" * 900}))[0] == 200

    run(go())


async def statuses(server: Served, path: str, parts: list[bytes]) -> int:
    reader, writer = await server.raw()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    if len(parts) == 1:
        writer.write(f"{head}content-length: {len(parts[0])}\r\n\r\n".encode() + parts[0])
    else:
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        for part in parts:
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    status = int((await reader.readline()).split()[1])
    assert b"connection: close" in (await reader.read()).lower()
    writer.close()
    return status


def test_a_body_that_comes_too_slowly_is_408(echoing: Path) -> None:
    async def go() -> None:
        async with served(echoing, limits=ServingSettings(body_timeout=0.1)) as server:
            reader, writer = await server.raw()
            writer.write(b"POST /score HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\nxx")
            assert (await reader.readline()).split()[1] == b"408"
            writer.close()

    run(go())


@pytest.mark.parametrize("sent", [b"", b"POST /score HT", b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\nGET /he"])
def test_a_head_that_does_not_come_closes_the_connection(echoing: Path, sent: bytes) -> None:
    async def go() -> None:
        async with served(echoing, limits=ServingSettings(head_timeout=0.2)) as server:
            reader, writer = await server.raw()
            writer.write(sent)
            answer = await reader.read()
            assert answer.count(b"200 OK") == sent.count(b"\r\n\r\n")
            writer.close()

    run(go())


def test_a_long_request_is_not_taken_for_a_slow_head(project: Project, tmp_path: Path) -> None:
    path, mark = waiting(project), tmp_path / "go"

    async def go() -> None:
        async with served(path, limits=ServingSettings(head_timeout=0.05, drain=20)) as server:
            asking = asyncio.create_task(server.score({"go": str(mark)}))
            await asyncio.sleep(0.3)
            mark.touch()
            assert (await asking)[0] == 200

    run(go())


def test_a_key_protects_everything_but_health(echoing: Path) -> None:
    async def go() -> None:
        async with served(echoing, site=Site(key=Secret("opensesame"))) as server:
            assert (await server.get("/health"))[0] == 200
            for path in ("/", "/version", "/swagger.json", "/page/page.js", "/nothing"):
                status, body, headers = await server.get(path)
                assert (status, body["error"]["code"]) == (401, "UserError")
                assert "Bearer" in headers["www-authenticate"]
            for wrong in ("Bearer opensesam", "Bearer", "Basic x", "opensesame", "Bearer opensesame\u00e9"):
                assert (await server.score({"text": "a"}, authorization=wrong))[0] == 401
            basic = "Basic " + base64.b64encode(b"anybody:opensesame").decode()
            for right in ("Bearer opensesame", "bearer opensesame", basic):
                assert (await server.score({"text": "a"}, authorization=right))[0] == 200
            assert (await server.get("/swagger.json", authorization=basic))[1]["security"] == [{"bearerAuth": []}]

    run(go())


def test_pages_of_other_sites_may_not_call(echoing: Path) -> None:
    async def go() -> None:
        async with served(echoing) as server:
            status, body, headers = await server.score({"text": "a"}, origin="http://evil.example")
            assert (status, "access-control-allow-origin" in headers) == (403, False)
            assert "--cors" in body["error"]["message"]
            assert (await server.score({"text": "a"}, origin=server.address))[0] == 200
            # A name that somebody else's name server points at this machine.
            assert (await server.score({"text": "a"}, host="evil.example:80"))[0] == 403
            assert (await server.score({"text": "a"}, host="localhost:80"))[0] == 200
        async with served(echoing, site=Site(origins=("http://app.example",), hosts=("flow.example",))) as server:
            status, _, headers = await server.score({"text": "a"}, origin="http://app.example")
            assert (status, headers["access-control-allow-origin"]) == (200, "http://app.example")
            assert (await server.score({"text": "a"}, origin="http://evil.example"))[0] == 403
            assert (await server.score({"text": "a"}, host="flow.example"))[0] == 200
            asks = {"origin": "http://app.example", "access-control-request-method": "POST",
                    "access-control-request-headers": "content-type"}  # fmt: skip
            async with server.session.options(f"{server.address}/score", headers=asks) as response:
                assert response.status == 204
                assert response.headers["access-control-allow-headers"] == "content-type"

    run(go())


def test_while_draining_health_says_so(echoing: Path) -> None:
    async def go() -> None:
        async with served(echoing) as server:
            server.server._flow_app.is_draining = True
            status, body, _ = await server.get("/health")
            assert (status, body["status"]) == (503, "Draining")

    run(go())


def test_a_defect_of_ours_is_told_and_does_not_end_the_server(echoing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    async def go() -> None:
        async with served(echoing, site=Site(say=told.append)) as server:
            broken = "pilothouse.flows.serving.score.flow_inputs"
            with monkeypatch.context() as patch:
                patch.setattr(broken, lambda flow, body: 1 / 0)
                status, body, _ = await server.score({"text": "a"})
            assert (status, body["error"]["code"]) == (500, "SystemError")
            assert "division" not in str(body)
            assert any("ZeroDivisionError" in text for text in told)
            assert (await server.score({"text": "a"}))[0] == 200

    run(go())
