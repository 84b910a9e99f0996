"""A flow of two model calls against a loopback server that counts what it is asked, and the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.experiments.commands.commands import experiment

FLOW = """\
inputs:
  text: {type: string}
  top_k: {type: int, default: 3}
outputs:
  label: {type: string, reference: '${answer.output}'}
  k: {type: int, reference: '${inputs.top_k}'}
nodes:
  - name: draft
    type: llm
    source: {type: code, path: draft.jinja2}
    connection: counted
    api: chat
    inputs: {model: small, temperature: 0, text: '${inputs.text}', top_k: '${inputs.top_k}'}
  - name: answer
    type: llm
    source: {type: code, path: answer.jinja2}
    connection: counted
    api: chat
    inputs: {model: large, temperature: 0, text: '${draft.output}'}
"""

EXPERIMENT = """\
name: lab
flow: flows/two
data: data/rows.csv
column_mapping: {text: '${data.text}'}
evaluators:
  - {name: label, use: classification, column_mapping: {prediction: '${run.outputs.label}', truth: '${data.label}'}}
resamples: 200
"""


class Counting(ThreadingHTTPServer):
    """Answers with what it was sent behind the colon; a text with `boom` is refused while `broken`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.broken = False

    def asked(self, model: str) -> int:
        return sum(request["model"] == model for request in self.requests)

    def forget(self) -> None:
        self.requests.clear()


class _Handler(BaseHTTPRequestHandler):
    server: Counting

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        text: str = request["messages"][-1]["content"]
        refused = self.server.broken and "boom" in text
        message = {"role": "assistant", "content": text.rpartition(": ")[2]}
        body = json.dumps(
            {"error": {"message": "no"}}
            if refused
            else {
                "id": "1",
                "model": request["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
            }
        ).encode()
        self.send_response(400 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Lab:
    """The project on disk, the server, and the command line."""

    def __init__(self, services: Any, server: Counting) -> None:
        self.root: Path = services.root
        self.services = services
        self.server = server

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def experiment(self, more: str = "", text: str = EXPERIMENT) -> None:
        self.write("experiment.yaml", text + more)

    def call(self, *arguments: str) -> Result:
        return CliRunner().invoke(experiment, list(arguments), obj=self.services, standalone_mode=False)

    def run(self, *options: str) -> dict[str, Any]:
        result = self.call("run", "experiment.yaml", "--json", *options)
        assert result.exception is None, result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def plan(self) -> dict[str, Any]:
        result = self.call("plan", "experiment.yaml", "--json")
        assert result.exception is None, result.exception
        found: dict[str, Any] = json.loads(result.stdout)
        return found


@pytest.fixture
def server() -> Iterator[Counting]:
    made = Counting()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def lab(services: Any, server: Counting, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(services, server)
    made.write("flows/two/flow.dag.yaml", FLOW)
    made.write("flows/two/draft.jinja2", "user:\nDraft with {{top_k}} documents: {{text}}\n")
    made.write("flows/two/answer.jinja2", "user:\nSay it: {{text}}\n")
    made.write("flows/two/short.jinja2", "user:\nShortly: {{text}}\n")
    made.write(
        "data/rows.csv", "text,label,user\na ham,a ham,u1\na spam,a spam,u1\nboom ham,boom ham,u2\nthe spam,ham,\n"
    )
    made.write(
        "connections/counted.yaml",
        f"name: counted\ntype: open_ai\nbase_url: http://127.0.0.1:{server.server_address[1]}/v1\n",
    )
    made.experiment()
    monkeypatch.chdir(made.root)
    return made
