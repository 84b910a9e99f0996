"""A key that stands in a prompty is told of, and goes nowhere but to its server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pilothouse.cli.main import main

from ..building import write

KEY = "sk-clear-0123456789"
V1 = "configuration: {type: openai, model: m, base_url: '%s', api_key: '%s'}"
V2 = "{id: m, provider: openai, connection: {kind: key, endpoint: '%s', apiKey: '%s'}}"


class Echoing(BaseHTTPRequestHandler):
    """Refuses every call and quotes its key, as providers do."""

    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Authorization"].removeprefix("Bearer ")
        self.seen.append(key)
        body = json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}}).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    class Handler(Echoing):
        seen: list[str] = []

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}/v1", Handler.seen
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.mark.parametrize("dialect", ["v1", "v2"])
@pytest.mark.parametrize("reference", [KEY, "${env:ASK_KEY}"])
def test_a_key_is_in_no_record(
    dialect: str,
    reference: str,
    server: tuple[str, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, seen = server
    model = "\n  " + V1 % (address, reference) if dialect == "v1" else " " + V2 % (address, reference)
    front = f"---\nmodel:{model}\ninputs: {{text: {{type: string}}}}\n---\nuser:\n{{{{text}}}}\n"
    files = {"pilothouse.yaml": "", "data.jsonl": '{"text": "hi"}\n', "ask.prompty": front}
    write(tmp_path, {**files, ".env": f"ASK_KEY={KEY}\n"})
    monkeypatch.chdir(tmp_path)
    shown = ""
    for arguments in (
        ("flow", "show", "ask.prompty"),
        ("flow", "test", "ask.prompty", "text=hi"),
        ("flow", "test", "ask.prompty", "text=hi", "--json"),
        ("run", "create", "--flow", "ask.prompty", "--data", "data.jsonl", "--name", "asked"),
        ("run", "show", "asked", "--rows", "--json"),
    ):
        with pytest.raises(SystemExit):
            main(list(arguments))
        out, err = capsys.readouterr()
        shown += out + err
    assert set(seen) == {KEY}
    assert "Incorrect API key provided: ***" in shown
    assert KEY not in shown
    assert ("in the clear" in shown) == (reference == KEY)
    kept = [
        path for path in (tmp_path / ".pilothouse").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert kept == []
