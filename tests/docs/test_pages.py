"""Every code block of the README and of `docs/` is run: what is written there works.

A fence says what becomes of its block:

- ``console``: lines after ``$ `` are run in the page's project; the lines below must appear in the output, in order,
  where ``...`` stands for anything.
- ``python``: runs in the page's project; the blocks of one page share their names.
- ``LANGUAGE file=PATH``: is written to that file of the page's project.
  A line that ends in ``&`` is left running until the page is over.
- ``text``, ``mermaid`` and ``sh``: are shown, not run; of ``sh`` only `make` targets may be named, and they must exist.

The gateway's port, 4000, is a free one.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from pilothouse.flows.promptflow.finder import FINDER

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BIN = Path(sys.executable).parent
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
SHOWN = {"text", "mermaid", "sh"}
# Plugins that are installed for our own tests, and that a reader's pytest does not load.
OTHERS_OFF = "-p no:anyio -p no:hypothesispytest -p no:pytest_cov -p no:schemathesis -p no:xdist"


class Block(NamedTuple):
    """One fenced block: where it starts, what it is, what it holds."""

    line: int
    language: str
    file: str | None
    body: str


class Command(NamedTuple):
    """One command of a console block and the lines its output must hold, in order."""

    text: str
    output: list[str]


def blocks(path: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        language, *rest = match["info"].split() or [""]
        file = next((word.removeprefix("file=") for word in rest if word.startswith("file=")), None)
        found.append(Block(text.count("\n", 0, match.start()) + 1, language, file, match["body"]))
    return found


def commands(body: str) -> list[Command]:
    """Return the commands of a console block; a line that ends in a backslash goes on."""
    found: list[Command] = []
    open_line = False
    for line in body.splitlines():
        if open_line:
            found[-1] = Command(found[-1].text + "\n" + line, [])
            open_line = line.endswith("\\")
        elif line.startswith("$ "):
            found.append(Command(line[2:], []))
            open_line = line.endswith("\\")
        elif found:
            found[-1].output.append(line)
        else:
            raise AssertionError(f"a console block starts with '$ ': {line}")
    return found


def missing_line(expected: list[str], output: str) -> str | None:
    """Return the first expected line that the output does not hold in its order, or None."""
    place = 0
    for line in expected:
        words = re.escape(" ".join(line.split())).replace(r"\.\.\.", ".*?")
        match = re.compile(words).search(output, place) if line.strip() not in {"", "..."} else None
        if match is None and line.strip() not in {"", "..."}:
            return line
        place = match.end() if match else place
    return None


def run_console(body: str, project: Path, env: dict[str, str], left: list[subprocess.Popen[bytes]]) -> None:
    for command in commands(body):
        if command.text.endswith("&"):
            started = ["bash", "-c", command.text.removesuffix("&")]
            left.append(subprocess.Popen(started, cwd=project, env=env, start_new_session=True))
            continue
        done = subprocess.run(
            ["bash", "-c", command.text], cwd=project, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        output = " ".join((done.stdout + done.stderr).split())
        missing = missing_line(command.output, output)
        assert missing is None, f"$ {command.text}\nlacks: {missing}\n--- has:\n{done.stdout}{done.stderr}"
        fails = any(line.startswith("error:") for line in command.output)
        assert (done.returncode != 0) == fails, (
            f"$ {command.text}\nleft with {done.returncode}\n{done.stdout}{done.stderr}"
        )


def check_make_targets(body: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"^make ([a-z]+)", body, re.MULTILINE):
        assert target in targets


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_block_of_the_page_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(tmp_path / "home"), "LANG": "C.UTF-8", "COLUMNS": "100"}
    env |= {"PILOTHOUSE_GATEWAY__PORT": free_port(), "PYTEST_ADDOPTS": OTHERS_OFF}
    left: list[subprocess.Popen[bytes]] = []
    (tmp_path / "home").mkdir()
    shared: dict[str, object] = {"__name__": "__main__"}
    try:
        run_blocks(page, tmp_path, env, shared, left)
    finally:
        for process in left:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # What a page offers for the rest of its process must not reach the tests after it.
        if sys.modules.pop("pilothouse.promptflow", None) is not None:
            FINDER.release()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def run_blocks(
    page: Path,
    tmp_path: Path,
    env: dict[str, str],
    shared: dict[str, object],
    left: list[subprocess.Popen[bytes]],
) -> None:
    for found in blocks(page):
        block = found._replace(body=found.body.replace(":4000", f":{env['PILOTHOUSE_GATEWAY__PORT']}"))
        if block.file is not None:
            target = tmp_path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.body)
        elif block.language == "console":
            run_console(block.body, tmp_path, env, left)
        elif block.language == "python":
            exec(compile("\n" * block.line + block.body, str(page), "exec"), shared)
        elif block.language == "sh":
            check_make_targets(block.body)
        else:
            assert block.language in SHOWN, f"{page.name}:{block.line}: say what becomes of this block"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_a_missing_line_is_noticed() -> None:
    assert missing_line(["one ... three", "four"], "one two three four") is None
    assert missing_line(["four", "one"], "one two three four") == "one"
