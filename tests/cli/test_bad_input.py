"""Every mistake gets one clear message: what, where, what was expected, how to mend it; no traceback, an exit code."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PROGRAM, Project

RUN = ("run", "create", "--flow", "flows/support", "--data", "data/questions.csv", "--name", "it")
TEST = ("flow", "test", "flows/support", "--inputs", "question=x")
FLOW = "flows/support/flow.dag.yaml"


def expect(done: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    said = " ".join(done.stderr.split())
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in said
    assert said.count("error:") == 1, said
    for word in words:
        assert word in said, f"{word!r} is not in: {said}"


def change(name: str, old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.change(name, old, new)


def write(name: str, text: str | bytes) -> Callable[[Project], None]:
    return lambda project: project.write(name, text)


def _unpulled(project: Project) -> None:
    project.write("connections/scripted.yaml", "name: scripted\ntype: local\nmodel: smollm2-135m-instruct\n")
    project.change(FLOW, "model: scripted", "model: smollm2-135m-instruct")


CASES = {
    "a missing node": (change(FLOW, "${ask.output}", "${aks.output}"), TEST, (f"{FLOW}:", "aks", "did you mean 'ask'")),
    "a cycle": (
        change(FLOW, 'question: "${inputs.question}"', 'question: "${route.output}"'),
        TEST,
        (f"{FLOW}:", "ask", "route", "circle"),
    ),
    "an unknown input": (
        change(FLOW, "${inputs.question}", "${inputs.qestion}"),
        TEST,
        (f"{FLOW}:", "did you mean 'question'"),
    ),
    "an unknown type": (change(FLOW, "type: python", "type: pyhton"), TEST, (f"{FLOW}:", "python")),
    "a key that stands twice": (
        change(FLOW, "    type: llm\n", "    type: llm\n    type: llm\n"),
        TEST,
        (f"{FLOW}:11", "twice", "line 10"),
    ),
    "a missing file": (change(FLOW, "path: route.py", "path: rout.py"), TEST, (f"{FLOW}:", "rout.py")),
    "an input of the wrong type": (
        change(FLOW, "    type: string\noutputs", "    type: int\noutputs"),
        TEST,
        ("question", "int", "'x'"),
    ),
    "an unknown variant": (lambda _: None, (*TEST, "--variant", "${ask.nope}"), ("ask", "does not use variants")),
    "a missing column": (
        lambda _: None,
        (*RUN, "--column-mapping", "question=${data.qestion}"),
        ("qestion", "did you mean 'question'"),
    ),
    "a missing data file": (lambda _: None, (*RUN[:5], "data/none.csv"), ("data/none.csv",)),
    "broken JSON": (
        write("data/bad.jsonl", '{"question": "a"}\n{"question": \n'),
        (*RUN[:5], "data/bad.jsonl"),
        ("bad.jsonl:2",),
    ),
    "a ragged row": (write("data/bad.csv", "question,team\na,b\nc,d,e\n"), (*RUN[:5], "data/bad.csv"), ("bad.csv:3",)),
    "bytes that are no text": (
        write("data/bad.csv", b"question\n\xff\xfe\n"),
        (*RUN[:5], "data/bad.csv"),
        ("bad.csv:2", "UTF-8"),
    ),
    "an unknown connection": (
        change(FLOW, "connection: scripted", "connection: scriptd"),
        TEST,
        ("did you mean 'scripted'",),
    ),
    "a connection without its key": (
        write("connections/scripted.yaml", "name: scripted\ntype: open_ai\n"),
        TEST,
        ("scripted", "api_key", "SCRIPTED_API_KEY"),
    ),
    "an unknown connection type": (
        write("connections/scripted.yaml", "name: scripted\ntype: opn_ai\n"),
        TEST,
        ("connections/scripted.yaml:2", "did you mean 'open_ai'"),
    ),
    "a model that is not pulled": (
        _unpulled,
        RUN,
        ("pilothouse model pull smollm2-135m-instruct",),
    ),
    "an unknown key of an experiment": (
        change("experiment.yaml", "variants: all", "varaints: all"),
        ("experiment", "run", "experiment.yaml"),
        ("experiment.yaml:4", "did you mean 'variants'"),
    ),
    "an unknown evaluator": (
        change("experiment.yaml", "use: classification", "use: clasification"),
        ("experiment", "run", "experiment.yaml"),
        ("experiment.yaml:", "did you mean 'classification'"),
    ),
    "an empty dataset": (write("data/questions.csv", "question,team\n"), RUN, ("questions.csv",)),
    "an unknown run": (lambda _: None, ("run", "show", "nope"), ("nope",)),
    "an unknown trace": (lambda _: None, ("trace", "show", "ffffffff"), ("ffffffff",)),
    "an unknown dataset": (lambda _: None, ("dataset", "show", "nope"), ("nope",)),
    "a tool with two tools": (
        change(
            "flows/support/route.py",
            "from pilothouse import tool",
            "from pilothouse import tool\n\n\n@tool\ndef b() -> int:\n    return 1",
        ),
        TEST,
        ("route.py", "@tool"),
    ),
    "a tool that is no Python": (write("flows/support/route.py", "def route(:\n"), TEST, ("route.py:1",)),
    "a prompt that is no template": (write("flows/support/ask.jinja2", "user:\n{{ question \n"), TEST, ("ask.jinja2",)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_gets_one_clear_message(project: Project, name: str) -> None:
    prepare, command, words = CASES[name]
    prepare(project)
    expect(project.call(*command), *words)


def test_rows_that_fail_keep_their_error_and_the_others_finish(project: Project) -> None:
    project.change(
        "flows/support/route.py",
        "return answer.upper()",
        "if answer == 'other':\n        raise ValueError('no team')\n    return answer.upper()",
    )
    done = project.call(*RUN)
    assert done.returncode == 1
    assert "1 completed, 1 failed" in " ".join(done.stdout.split())
    shown = " ".join(project.call("run", "show", "it", "--failed").stdout.split())
    assert "no team" in shown


def test_the_users_own_failure_keeps_its_frames_and_none_of_ours(project: Project) -> None:
    project.change("flows/support/route.py", "return answer.upper()", "raise ValueError('no team')")
    done = project.call(*TEST)
    assert done.returncode == 1
    assert "route.py" in done.stderr
    assert "no team" in done.stderr
    assert "pilothouse/flows" not in done.stderr


def test_ctrl_c_in_the_middle_keeps_what_was_recorded(project: Project) -> None:
    rows = ["question"] + ["parcel"] * 40 + ["slow"] * 4
    project.write("data/questions.csv", "\n".join(rows) + "\n")
    running = project.start(*RUN)
    journals = project.root / ".pilothouse" / "runs"
    _wait(lambda: any(path.read_bytes().count(b"\n") >= 40 for path in journals.glob("*/rows.jsonl")))
    assert running.stderr is not None
    running.send_signal(signal.SIGINT)
    while "Ctrl-C again" not in running.stderr.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, out + err
    assert "Traceback" not in err
    assert "run resume it" in " ".join((out + err).split())
    project.write("answers.yaml", "- reply: shipping\n")
    again = project.call("run", "resume", "it")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "44 of 44: 44 completed" in " ".join(again.stdout.split())


def _wait(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_full_disk_in_the_middle_is_said_and_loses_nothing(project: Project) -> None:
    """The limit on file size makes the journal's own file full; the rows before it stay."""
    project.write(
        "data/questions.csv", "question\n" + "\n".join(f"parcel {i} " + "x" * 500 for i in range(2000)) + "\n"
    )

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    done = subprocess.run(
        [*PROGRAM, *RUN],
        cwd=project.root,
        env=project.environment(PILOTHOUSE_TRACING__ENABLED="false"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=limited,
    )
    expect(done, "rows.jsonl", code=3)
    again = project.call("run", "resume", "it")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2000 of 2000: 2000 completed" in " ".join(again.stdout.split()).replace(",", "")


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "shut").mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, "-m", "pilothouse", "run", "list"],
        cwd=tmp_path / "shut",
        capture_output=True,
        text=True,
        check=False,
    )
    expect(done, "state folder", code=3)
