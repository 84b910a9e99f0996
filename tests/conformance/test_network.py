"""Nothing is called but what a flow asks for, and no maker's headers go with it.

Python tells of every address that its own sockets look up or connect to. The client of models is compiled and tells
nothing: what it calls is seen at the other end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

LISTEN = """
import json, sys
from pathlib import Path
heard = open(sys.argv.pop(1), "a", buffering=1)
def hook(event, arguments):
    if event == "socket.getaddrinfo":
        heard.write(json.dumps(str(arguments[0])) + chr(10))
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        heard.write(json.dumps(str(arguments[1][0])) + chr(10))
sys.addaudithook(hook)
from pilothouse.cli.main import main
main()
"""
FLOW = """
inputs: {x: {type: int}}
outputs: {answer: {type: string, reference: "${ask.output}"}}
nodes:
  - name: ask
    type: llm
    source: {type: code, path: ask.jinja2}
    connection: here
    api: chat
    inputs: {model: m}
"""


class Provider(BaseHTTPRequestHandler):
    """Answers chats, and keeps the headers of what it was asked."""

    headers_seen: list[dict[str, str]]

    def do_POST(self) -> None:
        type(self).headers_seen.append({name.lower(): value for name, value in self.headers.items()})
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"choices": [{"message": {"role": "assistant", "content": "hi"}}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    Provider.headers_seen = []
    server = HTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    for name, text in {
        "pilothouse.yaml": "{}\n",
        ".env": "KEY=sk-not-a-key-0123456789\n",
        "connections/here.yaml": f"name: here\ntype: open_ai\napi_key: ${{env:KEY}}\nbase_url: {address}\n",
        "flow/flow.dag.yaml": FLOW,
        "flow/ask.jinja2": "user:\nhello\n",
        "rows.jsonl": '{"x": 1}\n{"x": 2}\n',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    yield tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["flow", "test", "flow", "--inputs", "x=1"],
        ["run", "create", "--flow", "flow", "--data", "rows.jsonl", "--column-mapping", "x=${data.x}"],
        ["run", "list"],
        ["connection", "list"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_only_the_flow_s_own_endpoint_is_called(project: Path, words: list[str]) -> None:
    heard = project / "heard"
    heard.touch()
    ended = subprocess.run(
        [sys.executable, "-c", LISTEN, str(heard), *words], cwd=project, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert {json.loads(line) for line in heard.read_text().splitlines()} <= {"127.0.0.1"}


def test_calls_carry_no_headers_of_a_maker(project: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pilothouse", "flow", "test", "flow", "--inputs", "x=1"],
        cwd=project, capture_output=True, check=True,
    )  # fmt: skip
    (headers,) = Provider.headers_seen
    assert headers.keys() <= {
        *("host", "authorization", "content-type", "content-length"),
        *("accept", "accept-encoding", "user-agent", "traceparent", "connection"),
    }
    assert not any("promptflow" in value for value in headers.values())
