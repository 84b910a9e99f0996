"""A case's project in a folder of its own, and its steps through the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pilothouse.cli.main import main

from .case import FILE, SHARED, Batch, Case, Step, Try
from .observed import Failure, Line, Observed

KEY = "sk-conformance-0123456789"


class Project:
    """The project of one case.

    Args:
        case: The case.
        folder: Where it is to lie; made here.
        endpoint: Address of the endpoint.
        is_process: Whether every step is done by a process of its own.
    """

    def __init__(self, case: Case, folder: Path, endpoint: str, *, is_process: bool = False) -> None:
        self.case = case
        self._is_process = is_process
        self.folder = folder
        shutil.copytree(SHARED, folder)
        shutil.copytree(case.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(FILE, "__pycache__"))
        self.environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder / ".home"),
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
            "CONFORMANCE_URL": endpoint,
            "CONFORMANCE_KEY": KEY,
            **case.environment,
        }

    def take(self, step: Step, number: int) -> Observed:
        """Do one step and say what was seen."""
        for name, text in step.write.items():
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        call = Call(self.folder, {**self.environment, **step.environment}, is_process=step.process or self._is_process)
        if step.test is not None:
            return _try(call, step.test, self.case.flow, has_notes=bool(step.expect.notes))
        if step.run is not None:
            return _batch(call, step.run, self.case.flow, run_name(step.run, number))
        assert step.cli is not None
        code, out, err = call(step.cli)
        return Observed(exit=code, stdout=out, stderr=err, error=_refusal(code, err))


def run_name(run: Batch, number: int) -> str:
    """Return the name of the run that a step makes or resumes."""
    return run.name or run.resume or f"step{number}"


class Call:
    """The `pilothouse` command over a project: in this process, or in one of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, is_process: bool) -> None:
        self.folder = folder
        self._environment = environment
        self._is_process = is_process

    def __call__(self, arguments: list[str]) -> tuple[int, str, str]:
        """Return exit code, output and error output."""
        if self._is_process:
            done = subprocess.run(
                [sys.executable, "-m", "pilothouse", *arguments],
                cwd=self.folder, env=dict(self._environment), capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            return done.returncode, done.stdout, done.stderr
        # With a binary buffer below, as real output has.
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with _world(self.folder, self._environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(arguments)
            except SystemExit as stop:
                return int(stop.code or 0), _text(out), _text(err)
        raise AssertionError("the command line did not end by itself")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextlib.contextmanager
def _world(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Be in a folder with an environment, and leave nothing of it behind."""
    before, modules, path = dict(os.environ), set(sys.modules), list(sys.path)
    os.environ.clear()
    os.environ.update(environment)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin and Path(origin).is_relative_to(folder):
                del sys.modules[name]


def _try(call: Call, given: Try, flow: str, *, has_notes: bool) -> Observed:
    path = given.flow or flow
    arguments = ["flow", "test", path, "--json"]
    if given.inputs is not None:
        # Beside the project: it is no file of it.
        inputs = call.folder.with_name(f"{call.folder.name}.inputs.json")
        inputs.write_text(json.dumps(given.inputs), encoding="utf-8")
        arguments += ["--inputs", str(inputs)]
    arguments += ["--inputs", given.file] if given.file else []
    arguments += [part for key, value in given.pairs.items() for part in ("--inputs", f"{key}={value}")]
    arguments += ["--variant", given.variant] if given.variant else []
    arguments += ["--node", given.node] if given.node else []
    arguments += [part for key, value in given.init.items() for part in ("--init", f"{key}={value}")]
    code, out, err = call(arguments)
    seen = Observed(exit=code, stdout=out, stderr=err)
    data = _parsed(out)
    if data is None:
        seen.error = _refusal(code, err)
    elif given.node is not None:
        seen.lines = [_node_line(data)]
    else:
        seen.lines = [_line(line) for line in data["lines"]]
        seen.notes = [note for line in data["lines"] for note in line["notes"]]
        made = data["aggregation"] or {}
        seen.metrics = made.get("metrics", {})
        seen.notes += made.get("notes", [])
        seen.error = _failure(made.get("error"))
    if has_notes:
        shown = _parsed(call(["flow", "show", path, "--json"])[1])
        seen.notes += shown["notes"] if shown else []
    return seen


def _batch(call: Call, given: Batch, flow: str, name: str) -> Observed:
    code, out, err = call(_batch_arguments(given, flow, name))
    seen = Observed(exit=code, stdout=out, stderr=err)
    record = _parsed(out)
    if record is None:
        seen.error = _refusal(code, err)
        return seen
    _, rows, _ = call(["run", "show", name, "--rows", "--json"])
    found = [json.loads(row) for row in rows.splitlines()]
    seen.lines = [_line(row) for row in found]
    seen.metrics, seen.status, seen.counts = record["metrics"], record["status"], record["counts"]
    seen.notes = [*record["notes"], *record["attempts"][-1]["notes"]]
    seen.notes += [note for row in found for note in row.get("notes", [])]
    seen.error = _failure(record["error"])
    return seen


def _batch_arguments(given: Batch, flow: str, name: str) -> list[str]:
    if given.resume is not None:
        return ["run", "resume", given.resume, "--json", *given.arguments]
    arguments = ["run", "create", "--json", "--name", name]
    arguments += ["--file", given.file] if given.file else ["--flow", given.flow or flow]
    arguments += ["--data", given.data] if given.data else []
    arguments += ["--run", given.run] if given.run else []
    arguments += [part for key, value in given.column_mapping.items() for part in ("-m", f"{key}={value}")]
    arguments += [part for key, value in given.connections.items() for part in ("--connections", f"{key}={value}")]
    arguments += ["--variant", given.variant] if given.variant else []
    return [*arguments, *given.arguments]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _refusal(code: int, text: str) -> Failure | None:
    return Failure(message=text) if code else None


def _failure(data: dict[str, Any] | None) -> Failure | None:
    return Failure(type=data["type"], message=data["message"], node=data.get("node")) if data else None


def _line(data: dict[str, Any]) -> Line:
    nodes = data.get("nodes", [])
    return Line(
        status=data["status"],
        inputs=data.get("inputs", {}),
        outputs=data.get("outputs", {}),
        nodes={node["node"]: node.get("output") for node in nodes if node["status"] in {"completed", "cached"}},
        bypassed=sorted(node["node"] for node in nodes if node["status"] == "bypassed"),
        error=_failure(data.get("error")),
    )


def _node_line(data: dict[str, Any]) -> Line:
    is_well = data["status"] in {"completed", "cached"}
    return Line(
        status="completed" if is_well else data["status"],
        outputs=data.get("output"),
        error=_failure(data.get("error")),
    )
