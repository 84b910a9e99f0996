"""Scores on the disk: a judge is asked about a row once, whatever ends the judging before its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROWS = 150
JUDGE = """\
  - name: spam
    use: judge
    options: {question: Is it spam?, connection: judge, model: m}
    column_mapping: {message: "${data.text}"}
"""
COUNTING = """\
from pathlib import Path

HERE = Path(__file__).parent


def right(label):
    with (HERE / "judged.log").open("a") as log:
        log.write(label + "\\n")
    if (HERE / "broken.txt").exists() and label == "spam":
        raise RuntimeError("out of order")
    return label == "ham"


class Sum:
    def __call__(self, label):
        right(label)
        return {"size": len(label)}

    def __aggregate__(self, returned):
        return {"total": sum(item["size"] for item in returned)}
"""


class Counting(ThreadingHTTPServer):
    """A model on this machine that is asked to judge, and keeps what it was asked about."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server = self.server
        assert isinstance(server, Counting)
        server.asked.append(text)
        time.sleep(0.05)
        message = {"role": "assistant", "content": '{"reason": "it sells", "verdict": "yes"}'}
        body = json.dumps(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def model() -> Iterator[Counting]:
    server = Counting()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def scored(project: Any) -> list[dict[str, Any]]:
    """The lines that are whole."""
    text = b"".join(path.read_bytes() for path in project.root.rglob("scores/spam-*.jsonl"))
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def judged(project: Any) -> int:
    log: Path = project.root / "judged.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def counting(project: Any) -> Any:
    """The project with one arm and an evaluator that counts."""
    project.write("counting.py", COUNTING)
    project.edit("experiment.yaml", "primary: accuracy\n", "variants: {few: {classify: few}}\n")
    project.edit("experiment.yaml", "baseline: zero\n", "")
    text = (project.root / "experiment.yaml").read_text()
    start = text.index("  - name: label")
    project.write(
        "experiment.yaml",
        text[:start]
        + "  - name: right\n    use: counting.py:right\n    column_mapping: {label: '${run.outputs.label}'}\n"
        + text[text.index("variants:") :],
    )
    return project


def test_a_killed_process_has_its_judge_asked_about_no_recorded_row_again(project: Any, model: Counting) -> None:
    project.data([(f"prize number {number:03} of many", "spam") for number in range(ROWS)])
    project.write(
        "connections/judge.yaml",
        f"name: judge\ntype: open_ai\nbase_url: http://127.0.0.1:{model.server_address[1]}/v1\n",
    )
    project.edit(
        "experiment.yaml", "primary: accuracy\n", JUDGE + "primary: accuracy\nvariants: {few: {classify: few}}\n"
    )
    project.edit("experiment.yaml", "baseline: zero\n", "")
    command = [sys.executable, "-m", "pilothouse", "experiment", "run", "experiment.yaml"]
    running = subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while len(scored(project)) < 20:
        assert running.poll() is None, running.communicate()[0].decode()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    recorded = [line["row"]["id"] for line in scored(project)]
    assert 20 <= len(recorded) < ROWS
    paid = len(model.asked)

    again = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert len(model.asked) == paid + ROWS - len(recorded)
    times = Counter(row for row in recorded for text in model.asked[paid:] if f"number {int(row):03} " in text)
    assert not times
    assert sorted(int(line["row"]["id"]) for line in scored(project)) == list(range(ROWS))
    assert "n = 150" in again.stdout


def test_rows_that_the_evaluator_failed_on_are_judged_again_and_no_others(counting: Any) -> None:
    counting.write("broken.txt", "")
    first = counting.run()
    assert (first.faults[0].rows, judged(counting)) == (20, 40)
    (counting.root / "broken.txt").unlink()
    second = counting.run()
    assert not second.faults
    assert judged(counting) == 60
    counting.run()
    assert judged(counting) == 60
    assert second.comparison.arms[0].estimates["right"].n == 40


def test_an_evaluator_that_comes_back_is_not_asked_again(counting: Any) -> None:
    counting.run()
    counting.write("counting.py", COUNTING.replace('== "ham"', '!= "ham"'))
    changed = counting.run()
    assert judged(counting) == 80
    counting.write("counting.py", COUNTING)
    back = counting.run()
    assert judged(counting) == 80
    rates = [found.comparison.arms[0].estimates["right"].value for found in (changed, back)]
    assert sum(rates) == pytest.approx(1.0)


@pytest.mark.parametrize("harm", ["torn", "middle", "gone"])
def test_scores_that_cannot_be_read_are_made_anew(counting: Any, harm: str) -> None:
    whole = counting.run().comparison
    (path,) = counting.root.rglob("scores/right-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    lost = {"torn": 1, "middle": 1, "gone": 40}[harm]
    if harm == "gone":
        path.unlink()
    elif harm == "torn":
        path.write_bytes(b"".join(lines)[:-9])
    else:
        lines[7] = b"\x00" * (len(lines[7]) - 1) + b"\n"
        path.write_bytes(b"".join(lines))
    mended = counting.run().comparison
    assert judged(counting) == 40 + lost
    assert mended.arms[0].estimates == whole.arms[0].estimates


def test_what_aggregates_takes_up_the_answers_that_were_kept(counting: Any) -> None:
    counting.edit("experiment.yaml", "counting.py:right", "counting.py:Sum")
    whole = counting.run().comparison.arms[0].aggregates
    assert whole["total"] == 20 * len("ham") + 20 * len("spam")
    (path,) = counting.root.rglob("scores/right-*.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:25]))
    assert counting.run().comparison.arms[0].aggregates == whole
    assert judged(counting) == 40 + 15
