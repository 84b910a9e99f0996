"""`flow test --interactive` in a real terminal and from a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ..building import write

FLOW = """
inputs:
  question: {type: string, is_chat_input: true}
  chat_history: {type: list, is_chat_history: true, default: []}
  mood: {type: string, default: calm}
outputs:
  answer: {type: string, reference: "${reply.output}", is_chat_output: true}
  turn: {type: int, reference: "${count.output}"}
nodes:
  - name: count
    type: python
    source: {type: code, path: count.py}
    inputs: {history: "${inputs.chat_history}"}
  - name: reply
    type: python
    source: {type: code, path: reply.py}
    inputs: {question: "${inputs.question}", history: "${inputs.chat_history}", mood: "${inputs.mood}"}
"""
REPLY = """
import json
from time import sleep
from pilothouse import tool

@tool
def reply(question: str, history: list, mood: str):
    if question == "fail":
        raise ValueError("no idea")
    yield f"{mood} "
    if question == "hang":
        while True:
            sleep(0.01)
            yield ""
    yield json.dumps(history)
"""
COUNT = "from pilothouse import tool\n@tool\ndef count(history: list) -> int:\n    print('counting')\n    return len(history) + 1\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {"pilothouse.yaml": "{}\n", "talk/flow.dag.yaml": FLOW, "talk/reply.py": REPLY, "talk/count.py": COUNT}
    return write(tmp_path, files)


def command(project: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "pilothouse", "-C", str(project), "flow", "test", *options, "--interactive"]


def piped(project: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(project, *options), input=text, capture_output=True, text=True, timeout=60, env={}, check=False
    )


def test_history_is_kept_up_in_prompt_flows_form(project: Path) -> None:
    done = piped(project, "hi\n\n  \nagain\n/exit\nnever said\n", "talk", "mood=gay")
    assert (done.returncode, done.stderr) == (0, "")
    said = re.findall(r"Bot: (.*)", done.stdout)
    assert said[0] == "gay []"
    assert said[1] == 'gay [{"inputs": {"question": "hi"}, "outputs": {"answer": "gay []", "turn": 1}}]'
    assert len(said) == 2
    # What tools print comes where it happens.
    assert done.stdout.index("counting") < done.stdout.index("Bot: gay []")


def test_a_failed_answer_is_told_and_not_kept(project: Path) -> None:
    done = piped(project, "fail\nhi\n", "talk")
    assert done.returncode == 1
    assert "error in node 'reply': ValueError: no idea" in done.stderr
    assert "Bot: calm []" in done.stdout


def test_a_flow_that_is_no_chat_flow_is_told_what_it_lacks(project: Path) -> None:
    (project / "talk" / "flow.dag.yaml").write_text(FLOW.replace("is_chat_output: true", ""))
    done = piped(project, "hi\n", "talk")
    assert done.returncode == 2
    assert "is not a chat flow: it has none of what must be one output that is the answer" in done.stderr


def test_a_flex_flow_gets_messages(tmp_path: Path) -> None:
    source = "import json\ndef run(question: str, chat_history: list):\n    return json.dumps(chat_history)\n"
    flex = "entry: main:run\ninputs:\n  question: {type: string, is_chat_input: true}\n"
    write(tmp_path, {"pilothouse.yaml": "{}\n", "talk/flow.flex.yaml": flex, "talk/main.py": source})
    done = piped(tmp_path, "hi\nyou\n", "talk")
    assert re.findall(r"Bot: (.*)", done.stdout) == ["[]", '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "[]"}]']  # fmt: skip


def test_a_prompty_with_history_talks(tmp_path: Path) -> None:
    text = (
        "---\nmodel:\n  configuration: {connection: scripted, model: tiny}\ninputs:\n"
        "  question: {type: string, is_chat_input: true}\n  chat_history: {type: list, is_chat_history: true}\n---\n"
        "{% for item in chat_history %}\n{{item.role}}:\n{{item.content}}\n{% endfor %}\n"
        "user:\n{{question}} after {{chat_history|length}}\n"
    )
    write(tmp_path, {"pilothouse.yaml": "{}\n", "talk.prompty": text})
    done = piped(tmp_path, "hi\nyou\n", "talk.prompty")
    assert re.findall(r"Bot: (.*)", done.stdout) == ["hi after 0", "you after 2"]


def test_flow_test_prints_the_answer_of_a_chat_flow_as_it_comes(project: Path) -> None:
    arguments = [sys.executable, "-m", "pilothouse", "-C", str(project), "flow", "test", "talk", "question=hang"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={})
    try:
        assert process.stdout is not None
        found = b""
        while b"answer: calm " not in found:
            part = os.read(process.stdout.fileno(), 1000)
            assert part, found
            found += part
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.communicate()


class Terminal:
    """A process behind a pseudo-terminal."""

    def __init__(self, arguments: list[str]) -> None:
        self.master, slave = pty.openpty()
        environment = {"TERM": "dumb"}
        self.process = subprocess.Popen(
            arguments,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
            preexec_fn=control,  # noqa: PLW1509 - the terminal that it controls is its own
        )
        os.close(slave)
        self.seen = ""

    def until(self, text: str) -> str:
        """Read until a text comes; return what was read since the last time."""
        ends = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < ends, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 10_000).decode()
        head, _, self.seen = self.seen.partition(text)
        return head + text

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def control() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_stops_an_answer_and_at_the_prompt_the_talk(project: Path) -> None:
    terminal = Terminal(command(project, "talk"))
    try:
        terminal.until("You: ")
        terminal.type("hang\n")
        terminal.until("Bot: calm ")
        terminal.type("\x03")
        terminal.until("stopped; the answer is not kept")
        terminal.until("You: ")
        terminal.type("hi\n")
        terminal.until("Bot: calm []")
        terminal.until("You: ")
        # Python's reader of lines misses a signal that comes just before it begins to wait; a person presses again.
        for _ in range(6):
            terminal.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                terminal.process.wait(5)
                break
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()


def test_ctrl_d_ends_the_talk(project: Path) -> None:
    terminal = Terminal(command(project, "talk"))
    try:
        terminal.until("You: ")
        terminal.type("\x04")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()
