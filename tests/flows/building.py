"""Small flows written by tests, and models that answer from a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConnectionFault, NotFound
from pilothouse.flows.loader import load_flow
from pilothouse.flows.results import AggregationResult, LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.models.types import (
    ChatChunk,
    ChatRequest,
    ChatResponse,
    CompletionRequest,
    Connection,
    EmbeddingRequest,
    EmbeddingResponse,
    Message,
    Usage,
)

Request = ChatRequest | CompletionRequest
Reply = Callable[[Request], ChatResponse]


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder; text is dedented."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def tool(name: str, parameters: str, body: str, *, head: str = "") -> str:
    """Return the source of a tool file."""
    return f"from pilothouse import tool\n{head}\n@tool\ndef {name}({parameters}):\n    {body}\n"


def python(
    name: str, path: str | None = None, /, *, inputs: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return a python node."""
    source = {"type": "code", "path": path or f"{name}.py"}
    return {"name": name, "type": "python", "source": source, "inputs": dict(inputs or {}), **more}


def prompt(
    name: str, path: str | None = None, /, *, inputs: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return a prompt node."""
    source = {"type": "code", "path": path or f"{name}.jinja2"}
    return {"name": name, "type": "prompt", "source": source, "inputs": dict(inputs or {}), **more}


def llm(
    name: str, path: str | None = None, /, *, inputs: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Return an llm node of the connection `fake`."""
    source = {"type": "code", "path": path or f"{name}.jinja2"}
    given = {"model": "tiny", **(inputs or {})}
    return {"name": name, "type": "llm", "source": source, "connection": "fake", "inputs": given, **more}


class Project:
    """A folder that flows are written into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def flow(
        self,
        nodes: list[dict[str, Any]],
        *,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Path:
        """Write a flow.dag.yaml; inputs as ``{name: type}`` or in full, outputs as ``{name: reference}`` or in full."""
        document = {
            "inputs": {
                name: item if isinstance(item, dict) else {"type": item} for name, item in (inputs or {}).items()
            },
            "outputs": {
                name: item if isinstance(item, dict) else {"type": "object", "reference": item}
                for name, item in (outputs or {}).items()
            },
            "nodes": nodes,
            **more,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "flow.dag.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return write(self.folder, files or {})

    def text(self, yaml_text: str, files: Mapping[str, str] | None = None) -> Path:
        """Write a flow.dag.yaml as text."""
        return write(self.folder, {"flow.dag.yaml": yaml_text, **(files or {})})


class FakeClient:
    """A model client that answers from a function and remembers what it was asked."""

    provider = "fake"

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self.streamed = 0
        self.cancelled = 0
        self.delay = 0.0

    async def chat(self, request: ChatRequest) -> ChatResponse:
        return await self._answer(request)

    async def complete(self, request: CompletionRequest) -> ChatResponse:
        return await self._answer(request)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        self.streamed += 1
        response = await self._answer(request)
        for word in response.text.split(" "):
            yield ChatChunk(text=word + " ")
        yield ChatChunk(usage=response.usage, finish_reason="stop")

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        return EmbeddingResponse(vectors=tuple((1.0,) for _ in request.inputs))

    async def aclose(self) -> None:
        return None

    async def _answer(self, request: Request) -> ChatResponse:
        self.requests.append(request)
        try:
            await asyncio.sleep(self.delay)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.reply(request)


def answer(text: str = "", **more: Any) -> ChatResponse:
    """Return an answer of the fake model."""
    message = more.pop("message", None) or Message(role="assistant", content=text)
    return ChatResponse(message=message, model="tiny-1", usage=Usage(input_tokens=10, output_tokens=2), **more)


def echo(request: Request) -> ChatResponse:
    """Answer with the last message, or the prompt."""
    return answer(request.messages[-1].text if isinstance(request, ChatRequest) else request.prompt)


class FakeModels:
    """Connections by name; all of them lead to one client."""

    def __init__(self, reply: Reply = echo, connections: Mapping[str, Connection] | None = None) -> None:
        self.fake = FakeClient(reply)
        self.connections = {"fake": Connection(name="fake", type="open_ai", configs={"base_url": "http://x"})}
        self.connections.update(connections or {})
        self.missing: set[str] = set()
        self.places: int | None = None
        self.environment = Environment({})

    def client(self, name: str) -> FakeClient:
        self.connection(name)
        return self.fake

    def connection(self, name: str) -> Connection:
        if name not in self.connections:
            raise ConnectionFault(f"there is no connection '{name}'")
        return self.connections[name]

    def check(self, name: str, model: str) -> None:
        self.connection(name)
        if model in self.missing:
            raise NotFound(f"the model '{model}' is not pulled")

    def slots(self, name: str) -> int | None:
        return self.places


class MemoryCache:
    """A node cache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value


def run(path: Path, inputs: Mapping[str, Any] | None = None, **options: Any) -> LineResult:
    """Load a flow and run one line of it."""
    return run_lines(path, [inputs or {}], **options)[0]


def run_lines(path: Path, rows: list[Mapping[str, Any]], **options: Any) -> list[LineResult]:
    """Load a flow and run lines, one behind the other."""

    async def go() -> list[LineResult]:
        async with FlowRunner(load_flow(path), **options) as runner:
            return [await runner.run_line(row, line_number=number) for number, row in enumerate(rows)]

    return asyncio.run(go())


def aggregate(path: Path, rows: list[Mapping[str, Any]], **options: Any) -> AggregationResult:
    """Load a flow, run lines and aggregate them."""

    async def go() -> AggregationResult:
        async with FlowRunner(load_flow(path), **options) as runner:
            lines = [await runner.run_line(row, line_number=number) for number, row in enumerate(rows)]
            return await runner.aggregate(lines)

    return asyncio.run(go())
