"""Rows in worker processes: the same records as without, and nothing that a row does reaches beyond it."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, UserCodeError
from pilothouse.experiments.runs.compute.backends import choose
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.experiments.runs.types import Counts, Run, RunRow, RunSpec
from pilothouse.tracing.service import TracingService
from pilothouse.workspace import Workspace

from .conftest import ASK_FLOW, PAIR_FLOW, Project
from .processes import MARK, marked, none_is_left


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Mark all processes of a test; none may be left behind it."""
    made = secrets.token_hex(8)
    monkeypatch.setenv(MARK, made)
    yield made
    assert none_is_left(made)


def pair(project: Project, double: str, rows: int = 10, **more: Any) -> RunSpec:
    spec = project.spec(rows=rows, isolation="process", **more)
    project.flow("pair", {"double.py": double})
    return spec


def tool(body: str, head: str = "") -> str:
    """Return a tool ``double`` whose body begins with ``body``."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"{head}\nfrom pilothouse import tool\n\n@tool\ndef double(x: int):\n{lines}\n    return 2 * x\n"


def plain(row: RunRow) -> RunRow:
    """Return a row without what no two runs share."""
    nodes = tuple(msgspec.structs.replace(node, started_at=0.0, duration=0.0, span_id=None) for node in row.nodes)
    return msgspec.structs.replace(row, nodes=nodes, duration=0.0, ended_at=0.0, trace_id=None)


def printed(value: object) -> str:
    """Return a value as text, without the number that a process gives to each flow it opens."""
    return re.sub(r"pilothouse_flow_\d+", "pilothouse_flow", repr(value))


def error(row: RunRow) -> str:
    assert row.error is not None
    return f"{row.error.type}: {row.error.message}"


# The same records

ODD = """
if x == 1:
    return float("nan")
if x == 2:
    return {"set": {1, 2}, "bytes": b"x", "object": Plain(), "nested": [float("inf")]}
if x == 3:
    return "\\ud800 lone"
if x == 4:
    raise ValueError("four")
if x == 5:
    sys.exit(7)
if x == 6:
    raise KeyboardInterrupt
if x == 7:
    print("to standard output", flush=True); os.write(1, b"raw")
if x == 8:
    return "x" * 20_000_000
if x == 9:
    return (letter for letter in "ab")
if x == 10:
    return asyncio.run(answer())
if x == 11:
    return 2**80
"""

ODD_HEAD = """
import asyncio, os, sys
class Plain:
    def __repr__(self):
        return "<Plain>"
async def answer():
    return "from a loop of its own"
"""


def same(project: Project, spec: RunSpec) -> tuple[Run, Run]:
    """Run a spec in both ways, compare everything, and return both runs."""
    runs = [
        project.run(msgspec.structs.replace(spec, isolation=isolation, name=f"{isolation}-{secrets.token_hex(3)}"))
        for isolation in ("none", "process")
    ]
    rows = [[plain(row) for row in project.rows(run)] for run in runs]
    for first, second in zip(*rows, strict=True):
        for field in RunRow.__struct_fields__:
            assert printed(getattr(first, field)) == printed(getattr(second, field)), field
    for name in ("status", "counts", "metrics", "notes", "cache", "error"):
        assert getattr(runs[0], name) == getattr(runs[1], name), name
    totals = [msgspec.structs.replace(run.totals, row_seconds=0.0) for run in runs]
    assert totals[0] == totals[1]
    assert [run.environment["isolation"] for run in runs] == ["none", "process"]
    return runs[0], runs[1]


def test_records_are_the_same_field_by_field(project: Project) -> None:
    spec = pair(project, tool(ODD.strip(), ODD_HEAD), rows=14)
    project.flow("pair", {"check.py": PAIR_FLOW["check.py"].replace("sum((place + 1) * y", "sum(1")})
    same(project, msgspec.structs.replace(spec, repeat=2))


def test_rows_of_any_type_reach_the_worker_as_they_are(project: Project) -> None:
    import datetime as dt
    from decimal import Decimal

    import pyarrow as pa
    import pyarrow.parquet as pq

    when = dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)
    table = pa.table({"x": [when, when], "d": [Decimal("1.50"), None], "b": [b"\x00\xff", b""]})
    pq.write_table(table, project.root / "odd.parquet")
    files = {
        "flow.dag.yaml": """
            inputs:
              x: {type: object}
              d: {type: object}
              b: {type: object}
            outputs:
              y: {type: string, reference: "${kinds.output}"}
            nodes:
              - name: kinds
                type: python
                source: {type: code, path: kinds.py}
                inputs: {x: "${inputs.x}", d: "${inputs.d}", b: "${inputs.b}"}
        """,
        "kinds.py": "from pilothouse import tool\n\n@tool\ndef kinds(x, d, b):\n    return repr((x, d, b))\n",
    }
    same(project, RunSpec(flow=project.flow("kinds", files), data="odd.parquet"))


def test_models_answers_and_the_cache_are_the_same(project: Project) -> None:
    project.flow("ask", ASK_FLOW)
    data = project.data([{"question": f"q{number % 6}"} for number in range(12)])
    spec = RunSpec(flow="flows/ask", data=data, isolation="process", concurrency=1)
    first = project.run(spec)
    assert (first.status, first.cache.hits, first.cache.misses) == ("completed", 6, 6)
    assert first.totals.usage.total_tokens > 0
    again, other = same(project, spec)
    assert (again.cache.hits, again.counts.cached) == (12, 12)
    assert other.totals.cached_usage == again.totals.cached_usage


def test_spans_of_all_workers_are_in_one_trace_store(project: Project) -> None:
    run = project.run(pair(project, tool("import time; time.sleep(0.1)"), rows=8, concurrency=4))
    tracing = project.workspace.get(TracingService)
    found = {row.trace_id for row in project.rows(run)}
    assert len(found) == 8
    processes = set()
    for trace_id in found:
        trace = tracing.show(str(trace_id))
        assert [item.span.name for item in trace.spans] == ["flow pair", "node double"]
        processes.add(tracing.payload(str(trace_id), trace.spans[0].span.span_id).resource["process.pid"])
    assert len(processes) == 4
    assert str(os.getpid()) not in map(str, processes)


CLASS_FLOW = {
    "flow.flex.yaml": "entry: counting:Counting\n",
    "counting.py": """
        import os

        class Counting:
            def __init__(self):
                self.seen = 0

            def __call__(self, x: int):
                self.seen += 1
                return {"seen": self.seen, "process": os.getpid()}

            def __aggregate__(self, results: list):
                return {"rows": len(results), "processes": len({item["process"] for item in results})}
    """,
}


def test_a_class_is_made_once_for_each_worker(project: Project) -> None:
    flow = project.flow("counting", CLASS_FLOW)
    data = project.data([{"x": number} for number in range(30)])
    run = project.run(RunSpec(flow=flow, data=data, isolation="process", concurrency=1))
    assert run.metrics == {"rows": 30.0, "processes": 1.0}
    assert [row.outputs["seen"] for row in project.rows(run)] == list(range(1, 31))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_are_used_side_by_side_however_they_are_started(
    project: Project, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PF_BATCH_METHOD", method)
    monkeypatch.setenv("PF_WORKER_COUNT", "3")
    meet = """
import os, time
from pathlib import Path
here = Path(__file__).parent / "here"
here.mkdir(exist_ok=True)
(here / str(os.getpid())).touch()
deadline = time.monotonic() + 60
while len(list(here.iterdir())) < 3:
    assert time.monotonic() < deadline
    time.sleep(0.01)
"""
    spec = msgspec.structs.replace(pair(project, tool(meet.strip()), rows=9), isolation=None)
    project.reopen()
    run = project.run(spec)
    assert run.status == "completed"
    assert len(list((project.root / "flows/pair/here").iterdir())) == 3
    assert "PF_BATCH_METHOD asks for worker processes" in run.attempts[0].notes[0]
    assert run.metrics["in_order"] == 1.0


# Rows that do harm


def test_a_row_that_takes_too_long_is_killed_and_the_others_go_on(project: Project, mark: str) -> None:
    hang = tool("if x in (2, 5):\n    import subprocess\n    subprocess.run(['sleep', '1000'])")
    run = project.run(pair(project, hang, timeout=0.5, concurrency=2))
    assert run.counts == Counts(total=10, completed=8, failed=2)
    rows = {row.number: row for row in project.rows(run)}
    assert error(rows[2]) == error(rows[5]) == "Timeout: the row took longer than 0.5 s"
    assert rows[2].inputs == {"x": 2}
    assert run.metrics["mismatched"] == 0
    assert none_is_left(mark)


def test_a_row_that_waits_on_the_loop_says_what_its_nodes_did_before_it_was_late(project: Project) -> None:
    files = {**ASK_FLOW, "flow.dag.yaml": ASK_FLOW["flow.dag.yaml"].replace("type: llm", "type: python")}
    files["flow.dag.yaml"] = """
        inputs: {x: {type: int}}
        outputs: {y: {type: int, reference: "${late.output}"}}
        nodes:
          - {name: soon, type: python, source: {type: code, path: soon.py}, inputs: {x: "${inputs.x}"}}
          - {name: late, type: python, source: {type: code, path: late.py}, inputs: {x: "${soon.output}"}}
    """
    files["soon.py"] = "from pilothouse import tool\n\n@tool\ndef soon(x: int):\n    return x\n"
    files["late.py"] = (
        "import asyncio\nfrom pilothouse import tool\n\n@tool\nasync def late(x: int):\n    await asyncio.sleep(1000 * x)\n"
    )
    data = project.data([{"x": 0}, {"x": 1}, {"x": 0}])
    run = project.run(
        RunSpec(flow=project.flow("late", files), data=data, isolation="process", timeout=0.5, concurrency=1)
    )
    rows = project.rows(run)
    assert [row.status for row in rows] == ["completed", "failed", "completed"]
    assert {node.node: node.status for node in rows[1].nodes} == {"soon": "completed", "late": "failed"}
    assert error(rows[1]) == "Timeout: the line took longer than 0.5 s"


# Sockets only: without what it waits by, the worker's event loop ends the worker as soon as it looks.
HANG_UP = (
    "[os.close(n) for n in range(3, 100) if os.path.exists(f'/dev/fd/{n}') and stat.S_ISSOCK(os.fstat(n).st_mode)]"
)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os._exit(0)", "ended with exit code 0"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), 15)", "was killed by SIGTERM"),
        ("import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("os.abort()", "was killed by SIGABRT"),
        (f"{HANG_UP}; time.sleep(1000)", "was killed by SIGKILL"),
    ],
)
def test_a_worker_that_dies_costs_one_row(project: Project, end: str, words: str) -> None:
    dying = tool(f"if x == 4:\n    import os, stat, time; {end}")
    run = project.run(pair(project, dying, concurrency=1))
    assert run.counts == Counts(total=10, completed=9, failed=1)
    row = project.rows(run)[4]
    assert error(row).startswith(f"WorkerDied: the worker process {words} in the middle of this row")
    assert ("--concurrency" in error(row)) == ("SIGKILL" in words)
    assert row.inputs == {"x": 4}
    assert run.metrics["rows"] == 9


def test_every_row_may_die(project: Project) -> None:
    run = project.run(pair(project, tool("import os; os._exit(1)"), rows=12))
    assert (run.status, run.counts.failed) == ("failed", 12)


def test_what_tools_leave_running_ends_with_the_run(project: Project, mark: str) -> None:
    leave = """
import subprocess, threading, time, os
threading.Thread(target=time.sleep, args=(1000,), daemon=False).start()
subprocess.Popen(["sleep", "1000"])
if os.fork() == 0:
    time.sleep(1000)
"""
    run = project.run(pair(project, tool(leave.strip()), rows=3, concurrency=1))
    assert run.status == "completed"
    assert none_is_left(mark)


# The opening


def test_code_that_ends_the_process_while_it_is_imported_is_told_once_and_nothing_is_recorded(project: Project) -> None:
    spec = pair(project, tool("pass", head="import os; os._exit(5)"))
    with pytest.raises(UserCodeError, match="ended with exit code 5 while it opened the flow"):
        project.run(spec)
    assert project.runs.list() == []


def test_what_is_wrong_with_the_flow_is_told_as_without_isolation(project: Project) -> None:
    spec = pair(project, tool("pass", head="raise ValueError('at import')"))
    told = []
    for isolation in ("none", "process"):
        with pytest.raises(UserCodeError) as caught:
            project.run(msgspec.structs.replace(spec, isolation=isolation))
        told.append((str(caught.value), caught.value.traceback))
    assert told[0] == told[1]
    assert "at import" in told[0][0] + told[0][1]


def test_a_flow_that_can_be_opened_no_more_ends_the_run_with_one_error(project: Project) -> None:
    head = """
import os
from pathlib import Path
opened = Path(__file__).with_name("opened.txt")
opened.write_text(opened.read_text() + "x" if opened.exists() else "x")
if len(opened.read_text()) > 1:
    os._exit(9)
"""
    spec = pair(project, tool("if x == 3:\n    os._exit(1)", head=head), concurrency=1)
    with pytest.raises(UserCodeError, match="ended with exit code 9 while it opened the flow"):
        project.run(spec)
    assert (project.root / "flows/pair/opened.txt").read_text() == "xxxx"
    run = project.runs.get("latest")
    assert (run.status, run.counts.completed, run.counts.failed) == ("failed", 3, 1)
    assert run.error is not None
    assert "while it opened the flow" in run.error.message


def test_an_aggregation_that_dies_keeps_the_rows(project: Project) -> None:
    spec = pair(project, tool("pass"))
    project.flow(
        "pair", {"check.py": "import os\nfrom pilothouse import tool\n\n@tool\ndef check(xs, ys):\n    os._exit(4)\n"}
    )
    run = project.run(spec)
    assert (run.status, run.counts.completed) == ("completed_with_errors", 10)
    assert run.error is not None
    assert run.error.message == "the worker process ended with exit code 4 while it aggregated"


# Stopping

WAIT = "import time\nwhile x >= 5:\n    time.sleep(0.01)"


async def _until(project: Project, rows: int) -> None:
    while sum(path.read_bytes().count(b"\n") for path in project.root.glob(".pilothouse/runs/*/rows.jsonl")) < rows:
        await asyncio.sleep(0.01)


def test_a_cancelled_run_leaves_no_process_and_goes_on_later(project: Project, mark: str) -> None:
    spec = pair(project, tool(WAIT), name="base", concurrency=2)

    async def cancel() -> None:
        task = asyncio.create_task(project.runs.execute(spec))
        await _until(project, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(marked(mark)) == []

    asyncio.run(asyncio.wait_for(cancel(), 60))
    assert project.runs.get("base").status == "interrupted"
    project.flow("pair", {"double.py": tool("pass")})
    run = project.resume("base", force=True)
    assert run.counts == Counts(total=10, completed=10)


@pytest.mark.parametrize("times", [1, 2])
def test_a_stopped_run_ends_with_or_without_its_rows_in_flight(project: Project, mark: str, times: int) -> None:
    go = "import time\nfrom pathlib import Path\nwhile x >= 5 and not Path(__file__).with_name('go').exists():\n    time.sleep(0.01)"
    spec = pair(project, tool(go), concurrency=2, name="base")

    async def stopped() -> Run:
        stop = Stop()
        task = asyncio.create_task(project.runs.execute(spec, stop=stop))
        await _until(project, 5)
        for _ in range(times):
            stop.ask()
        if times == 1:
            (project.root / "flows/pair/go").touch()
        return await task

    run = asyncio.run(asyncio.wait_for(stopped(), 60))
    assert run.status == "interrupted"
    assert run.counts.completed == 5 if times == 2 else 5 <= run.counts.completed <= 7
    assert list(marked(mark)) == []


def test_a_flow_that_takes_for_ever_to_open_can_be_stopped(project: Project) -> None:
    head = "import time\nfrom pathlib import Path\nPath(__file__).with_name('opening').touch()\ntime.sleep(1000)"
    spec = pair(project, tool("pass", head=head))

    async def stopped() -> None:
        stop = Stop()
        task = asyncio.create_task(project.runs.execute(spec, stop=stop))
        while not (project.root / "flows/pair/opening").exists():
            await asyncio.sleep(0.01)
        stop.ask()
        with pytest.raises(Exception, match="stopped before the first row"):
            await task

    asyncio.run(asyncio.wait_for(stopped(), 60))
    assert project.runs.list() == []


def test_a_run_that_hung_in_a_thread_can_be_resumed_with_isolation(project: Project) -> None:
    hang = tool("if x == 3:\n    import threading; threading.Event().wait()")
    run = project.run(_here(project, hang))
    assert "with --isolation process it is killed" in error(project.rows(run)[3])
    run = project.resume(run.name, isolation="process")
    assert (run.spec.isolation, run.counts.failed) == ("process", 1)
    assert error(project.rows(run)[3]) == "Timeout: the row took longer than 0.3 s"


def _here(project: Project, double: str) -> RunSpec:
    return msgspec.structs.replace(pair(project, double, timeout=0.3), isolation="none")


# What decides


@pytest.mark.parametrize(
    ("spec", "settings", "variables", "expected"),
    [
        (None, None, {}, "none"),
        ("process", None, {}, "process"),
        (None, "process", {}, "process"),
        ("none", "process", {"PF_BATCH_METHOD": "fork"}, "none"),
        (None, "none", {"PF_BATCH_METHOD": "fork"}, "none"),
        (None, None, {"PF_BATCH_METHOD": "SPAWN"}, "process"),
        (None, None, {"PF_WORKER_COUNT": "2"}, "none"),
    ],
)
def test_the_run_decides_then_the_project_then_prompt_flows_variables(
    spec: Any, settings: Any, variables: Mapping[str, str], expected: str
) -> None:
    found = choose(RunSpec(flow="f", isolation=spec), RunSettings(isolation=settings), Environment(variables))
    assert found.isolation == expected
    if "PF_BATCH_METHOD" in variables:
        assert found.method == variables["PF_BATCH_METHOD"].lower()
        assert bool(found.notes) == (spec is None and settings is None)


def test_the_number_of_workers() -> None:
    spec = RunSpec(flow="f", isolation="process")
    assert choose(spec, RunSettings(), Environment({})).workers >= 4
    assert choose(spec, RunSettings(), Environment({"PF_WORKER_COUNT": "7"})).workers == 7
    assert choose(spec, RunSettings(workers=3), Environment({"PF_WORKER_COUNT": "7"})).workers == 3


@pytest.mark.parametrize(
    "given", [{"PF_BATCH_METHOD": "forkserver"}, {"PF_WORKER_COUNT": "many"}, {"PF_WORKER_COUNT": "0"}]
)
def test_variables_without_meaning_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(given))):
        choose(RunSpec(flow="f"), RunSettings(), Environment(given))


def test_prompt_flows_time_limit_holds_for_runs(project: Project, tmp_path: Path) -> None:
    spec = pair(project, tool("if x == 1:\n    import time; time.sleep(1000)"), rows=2)
    project.workspace.close()
    project.workspace = Workspace(project.root, environment=Environment({"PF_LINE_TIMEOUT_SEC": "0.3"}))
    assert error(project.rows(project.run(spec))[1]) == "Timeout: the row took longer than 0.3 s"
