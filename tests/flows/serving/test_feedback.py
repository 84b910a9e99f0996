"""Feedback stands on the trace that it is about, in prompt flow's form."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..building import Project, python, tool
from .serving import run, served


@pytest.fixture
def echoing(project: Project) -> Path:
    return project.flow([python("work")], outputs={"out": "${work.output}"}, files={"work.py": tool("work", "", "return 1")})  # fmt: skip


def test_the_traceparent_of_an_answer_puts_feedback_on_its_trace(echoing: Path) -> None:
    async def go() -> None:
        async with served(echoing) as server:
            *_, answered = await server.score({})
            headers = {"traceparent": answered["traceparent"], "baggage": "user=ann,team=a%20b"}
            body = '{"thumb": "up", "why": {"speed": 1}}'
            async with server.session.post(f"{server.address}/feedback", data=body, headers=headers) as response:
                assert (response.status, await response.json()) == (200, {"status": "Feedback received."})
                assert response.headers["x-trace-id"] == answered["x-trace-id"]
            (span,) = server.spans("promptflow-feedback")
            (scored,) = server.spans("POST /score")
            assert span.parent is not None
            assert span.parent.span_id == scored.context.span_id
            assert dict(span.attributes or {}) == {
                "feedback": body, "pilothouse.flow.name": "flow", "user": "ann", "team": "a b",
            }  # fmt: skip
            async with server.session.post(f"{server.address}/feedback?flatten=true", data=body) as response:
                assert response.status == 200
            flat = dict(server.spans("promptflow-feedback")[1].attributes or {})
            assert (flat["thumb"], flat["why"], "feedback" in flat) == ("up", '{"speed": 1}', False)

    run(go())


@pytest.mark.parametrize("body", [b"", b"plain words \xff", b"[1]", b"{" * 10_000])
def test_feedback_may_be_anything(echoing: Path, body: bytes) -> None:
    async def go() -> None:
        async with served(echoing) as server:
            for query in ("", "?flatten=true"):
                async with server.session.post(f"{server.address}/feedback{query}", data=body) as response:
                    assert response.status == 200
            found = [dict(span.attributes or {})["feedback"] for span in server.spans("promptflow-feedback")]
            assert found == [body.decode(errors="replace")] * 2

    run(go())
