"""`flow serve` as its users start it: a process of its own, ended by signals."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pilothouse.cli.main import main

from ..building import write

FLOW = """
inputs:
  text: {type: string, default: hello}
outputs:
  out: {type: string, reference: "${drip.output}"}
nodes:
  - name: drip
    type: python
    source: {type: code, path: drip.py}
    inputs: {text: "${inputs.text}"}
"""
DRIP = """
import os
from pathlib import Path
from time import sleep
from pilothouse import tool

@tool
def drip(text: str):
    print("the tool speaks", os.environ.get("COLOUR"))
    yield "first "
    while text == "wait" and not Path("go").exists():
        sleep(0.01)
    yield text
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(tmp_path, {"pilothouse.yaml": "{}\n", "drip/flow.dag.yaml": FLOW, "drip/drip.py": DRIP})


class Process:
    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address
        self.answers: list[Any] = []

    def ask(self, path: str, data: Any = None, **headers: str) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.address}{path}", body, {"content-type": "application/json", **headers})
        try:
            self.answers.append(urllib.request.urlopen(request, timeout=60))
        except urllib.error.HTTPError as error:
            self.answers.append(error)
            raise
        return self.answers[-1]


@contextmanager
def serving(root: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[Process]:
    command = [sys.executable, "-m", "pilothouse", "-C", str(root), "flow", "serve", *options, "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment or {}
    )
    # Nothing here may wait for ever.
    watch = threading.Timer(90, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, (line, process.stderr and process.stderr.read())
        served = Process(process, found[0])
        try:
            yield served
        finally:
            for answer in served.answers:
                answer.close()
    finally:
        watch.cancel()
        process.kill()
        process.communicate()


def test_a_flow_is_served_and_ends_well_on_a_signal(project: Path) -> None:
    with serving(project, "drip", "--environment-variables", "COLOUR=red") as server:
        assert json.load(server.ask("/score", {"text": "a"})) == {"out": "first a"}
        # What a tool prints is there at once, not when the server ends.
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == "the tool speaks red\n"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert server.process.stderr is not None
        told = server.process.stderr.read()
        assert re.search(r"POST /score 200 \d\.\d{3} s request \w{26} trace [0-9a-f]{32}", told)
        assert "Traceback" not in told


def test_a_stream_in_flight_ends_whole_after_the_signal(project: Path) -> None:
    with serving(project, "drip") as server:
        response = server.ask("/score", {"text": "wait"}, accept="text/event-stream")
        assert response.readline() == b'data: {"out": "first "}\n'
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr is not None
        assert "1 requests are in flight" in server.process.stderr.readline()
        (project / "drip" / "go").touch()
        assert response.read().endswith(b'data: {"out": "wait"}\n\n')
        assert server.process.wait(30) == 0


@pytest.mark.parametrize("second", ["signal", "drain"])
def test_a_second_signal_or_the_end_of_patience_cuts_what_is_in_flight(project: Path, second: str) -> None:
    with serving(project, "drip", *(["--drain", "1"] if second == "drain" else [])) as server:
        response = server.ask("/score", {"text": "wait"}, accept="text/event-stream")
        response.readline()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr is not None
        server.process.stderr.readline()
        if second == "signal":
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 1
        assert "1 requests were cut" in server.process.stderr.read()


def test_feedback_is_shown_in_the_trace_of_its_request(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(project, "drip") as server:
        answer = server.ask("/score", {"text": "a"}, **{"x-request-id": "mine"})
        server.ask("/feedback?flatten=true", {"thumb": "down"}, traceparent=answer.headers["traceparent"])
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    trace = answer.headers["x-trace-id"]
    code = run("-C", str(project), "trace", "show", trace)
    shown = capsys.readouterr().out
    assert (code, "promptflow-feedback" in shown, "POST /score" in shown) == (0, True, True)
    span = next(line.split()[-1] for line in shown.splitlines() if "promptflow-feedback" in line)
    assert run("-C", str(project), "trace", "show", trace, "--span", span) == 0
    assert "down" in capsys.readouterr().out


def test_prompt_flows_variables_are_read_or_told(project: Path) -> None:
    environment = {
        "PROMPTFLOW_PROJECT_PATH": "drip", "PROMPTFLOW_SERVING_ENGINE": "fastapi", "PROMPTFLOW_WORKER_NUM": "4",
        "PROMPTFLOW_RESPONSE_INCLUDED_FIELDS": "[]", "BUILD_INFO": '{"build_number": "12"}', "THE_KEY": "sesame-open",
    }  # fmt: skip
    with serving(project, "--key-env", "THE_KEY", environment=environment) as server:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            server.ask("/version")
        key = {"authorization": "Bearer sesame-open"}
        assert json.load(server.ask("/version", **key))["version"] == "12"
        assert json.load(server.ask("/score", {}, **key)) == {}
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        assert server.process.stderr is not None
        told = server.process.stderr.read()
        assert "note: PROMPTFLOW_SERVING_ENGINE has no effect" in told
        assert "note: PROMPTFLOW_WORKER_NUM has no effect" in told


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0)


def test_mistakes_are_told(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*options: str) -> str:
        assert run("-C", str(project), "flow", "serve", "drip", *options) == 2
        return capsys.readouterr().err

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "choose another --port" in told("--port", str(taken.getsockname()[1]))
    assert "NO_SUCH_KEY is not set" in told("--key-env", "NO_SUCH_KEY")
    assert "expected: node.connection=name" in told("--connections", "connection=x")
    assert "which the flow does not have" in told("--connections", "drop.connection=x")
    monkeypatch.setenv("PROMPTFLOW_RESPONSE_INCLUDED_FIELDS", "answer")
    assert "PROMPTFLOW_RESPONSE_INCLUDED_FIELDS is not JSON" in told()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert 'pip install "pilothouse[serve]"' in told()


def test_init_arguments_come_from_options_over_the_environment(tmp_path: Path) -> None:
    source = "class Grade:\n    def __init__(self, points: int, word: str):\n        self.said = [points, word]\n    def __call__(self):\n        return self.said\n"
    write(
        tmp_path, {"pilothouse.yaml": "{}\n", "grade/flow.flex.yaml": "entry: grade:Grade\n", "grade/grade.py": source}
    )
    environment = {"PF_FLOW_INIT_CONFIG": '{"points": 1, "word": "env"}'}
    with serving(tmp_path, "grade", "--init", "word=option", environment=environment) as server:
        assert json.load(server.ask("/score", {})) == [1, "option"]


def test_listening_to_everybody_without_a_key_is_a_warning(project: Path) -> None:
    with serving(project, "drip", "--host", "127.0.0.1") as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        assert "there is no key" not in server.process.communicate()[1]
    command = [
        sys.executable,
        "-m",
        "pilothouse",
        "-C",
        str(project),
        "flow",
        "serve",
        "drip",
        "--host",
        "0.0.0.0",
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={})
    assert process.stdout is not None
    assert "http://0.0.0.0:" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert "there is no key; set one with --key-env" in " ".join(process.communicate(timeout=30)[1].split())
    assert process.returncode == 0


def test_the_page_of_flow_test_is_opened(project: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "pilothouse", "-C", str(project), "flow", "test", "drip", "--ui"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"BROWSER": str(browser)})
    watch = threading.Timer(90, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        assert found is not None
        with urllib.request.urlopen(found[0], timeout=60) as answer:
            page = answer.read().decode()
        assert "<title>drip</title>" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert (tmp_path / "opened").read_text().strip() == found[0]
    finally:
        watch.cancel()
        process.kill()
        process.communicate()
