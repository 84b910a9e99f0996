"""Rows on a real Ray with two workers: the same records as in one process, whatever becomes of the workers."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, Conflict, UserCodeError, UserError
from pilothouse.experiments.runs.compute import link, member, pool, suspects
from pilothouse.experiments.runs.compute.backends import choose
from pilothouse.experiments.runs.compute.link import RayLink
from pilothouse.experiments.runs.compute.shipment import pack, variables
from pilothouse.experiments.runs.compute.suspects import Suspects
from pilothouse.experiments.runs.compute.types import check_compute
from pilothouse.experiments.runs.compute.window import MOST, Window
from pilothouse.experiments.runs.engine.lines import Line
from pilothouse.experiments.runs.interrupts import Stop
from pilothouse.experiments.runs.settings import RunSettings
from pilothouse.experiments.runs.types import Counts, Run, RunRow, RunSpec
from pilothouse.flows.loader import load_flow
from pilothouse.tracing.service import TracingService
from pilothouse.workspace import Workspace

from .conftest import ASK_FLOW, PAIR_FLOW, Project
from .processes import MARK, marked, none_is_left
from .test_isolation import ODD, ODD_HEAD, error, plain, printed, tool

pytestmark = pytest.mark.usefixtures("ray")

#: Fields that no two runs share: when something happened, how long it took, and the ids of spans.
OWN = "started_at, duration and span_id of nodes; duration, ended_at and trace_id of rows"


def address(ray: Any) -> str:
    """Return where the session's Ray is: to name it is to treat it as a cluster elsewhere."""
    found: str = ray.get_runtime_context().gcs_address
    return found


def pair(project: Project, double: str, rows: int = 10, **more: Any) -> RunSpec:
    spec = project.spec(rows=rows, **{"compute": "ray", "workers": 2, **more})
    project.flow("pair", {"double.py": double})
    return spec


def same(project: Project, spec: RunSpec, compute: str = "ray", workers: int = 1) -> tuple[Run, Run]:
    """Run a spec in one process and on Ray, compare every field but `OWN`, and return both runs."""
    runs = [
        project.run(
            msgspec.structs.replace(spec, compute=place, workers=workers, name=f"{place[:3]}-{secrets.token_hex(3)}")
        )
        for place in ("local", compute)
    ]
    rows = [[plain(row) for row in project.rows(run)] for run in runs]
    for first, second in zip(*rows, strict=True):
        for field in RunRow.__struct_fields__:
            assert printed(getattr(first, field)) == printed(getattr(second, field)), field
    for name in ("status", "counts", "metrics", "notes", "error", "flow", "data", "column_mapping", "variants"):
        assert getattr(runs[0], name) == getattr(runs[1], name), name
    totals = [msgspec.structs.replace(run.totals, row_seconds=0.0) for run in runs]
    assert totals[0] == totals[1]
    assert [run.environment["compute"] for run in runs] == ["local", compute]
    return runs[0], runs[1]


# The same records


def test_records_are_the_same_field_by_field(project: Project) -> None:
    spec = pair(project, tool(ODD.strip(), ODD_HEAD), rows=14)
    project.flow("pair", {"check.py": PAIR_FLOW["check.py"].replace("sum((place + 1) * y", "sum(1")})
    _, there = same(project, msgspec.structs.replace(spec, repeat=2))
    assert spans_of(project, there) == [["flow pair", "node double"]] * 3


ASYNC = """
import asyncio
from pilothouse import tool

@tool
async def double(x: int):
    await asyncio.sleep(0.001 * (x % 5))
    if x % 7 == 3:
        raise ValueError(f"no \\x00 \\u202e {x}")
    return 2 * x
"""


def test_rows_of_two_workers_are_those_of_one_process(project: Project, ray: Any) -> None:
    meet = tool(
        """
import os, time
from pathlib import Path
here = Path(__file__).parent / "here"
here.mkdir(exist_ok=True)
(here / str(os.getpid())).touch()
deadline = time.monotonic() + 60
while len(list(here.iterdir())) < 2:
    assert time.monotonic() < deadline
    time.sleep(0.01)
""".strip()
    )
    run = project.run(pair(project, meet, rows=40))
    assert (run.status, run.metrics["in_order"]) == ("completed", 1.0)
    assert str(os.getpid()) not in {path.name for path in (project.root / "flows/pair/here").iterdir()}
    assert [row.outputs["y"] for row in project.rows(run)] == [2 * number for number in range(40)]
    here, there = same(project, pair(project, ASYNC, rows=100), address(ray), workers=2)
    assert here.counts == Counts(total=100, completed=86, failed=14)
    assert spans_of(project, there) == [["flow pair", "node double"]] * 3


FLEX = {
    "flow.flex.yaml": "entry: answering:answer\n",
    "answering.py": """
        async def answer(text: str, times: int = 2):
            return {"answer": text * times, "lone": "\\ud800" if text == "lone" else None}
    """,
}

PROMPTY = {
    "ask.prompty": """\
---
name: ask
model:
  api: chat
  configuration: {type: openai}
  parameters: {model: scripted}
inputs:
  text: {type: string}
---
user:
{{text}}
"""
}

HOSTILE = ["plain", "lone", "{{ 7 * 7 }}", "${data.text}", "\x00\x1b[31m", "\u202eevil", "=cmd()|' '!A0", "x" * 200_000]


def test_other_kinds_of_flows_are_the_same(project: Project, ray: Any) -> None:
    data = project.data([{"text": text} for text in HOSTILE])
    same(project, RunSpec(flow=project.flow("flex", FLEX), data=data), address(ray))
    project.flow("prompty", PROMPTY)
    spec = RunSpec(
        flow="flows/prompty/ask.prompty", data=data, connections={"ask": {"connection": "scripted"}}, use_cache=False
    )
    here, _ = same(project, spec)
    assert here.status == "completed", project.rows(here)[0].error


def test_models_answers_and_the_cache_are_shared_through_the_driver(project: Project) -> None:
    project.flow("ask", ASK_FLOW)
    data = project.data([{"question": f"q{number % 6}"} for number in range(12)])
    spec = RunSpec(flow="flows/ask", data=data, compute="ray", workers=1, concurrency=1)
    first = project.run(spec)
    assert (first.status, first.cache.hits, first.cache.misses) == ("completed", 6, 6)
    assert first.totals.usage.total_tokens > 0
    again, other = same(project, spec)
    assert (again.cache, other.cache.hits, other.counts.cached) == (other.cache, 12, 12)


def spans_of(project: Project, run: Run) -> list[list[str]]:
    tracing = project.workspace.get(TracingService)
    found = [str(row.trace_id) for row in project.rows(run)]
    assert len(set(found)) == len(found)
    found = [found[0], found[len(found) // 2], found[-1]]
    return [[item.span.name for item in tracing.show(trace_id).spans] for trace_id in found]


# What travels


def test_a_cluster_gets_the_flow_and_the_variables_it_names_and_nothing_else(project: Project, ray: Any) -> None:
    files = {
        "flow.flex.yaml": "entry: looking:look\nenvironment_variables: {SHOWN: '${mine.api_key}'}\n",
        "looking.py": """
            import os
            from pathlib import Path

            def look(x: int):
                root = Path(__file__).parents[2]
                return {
                    "files": sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()
                                    and ".pilothouse" not in path.parts and path.suffix != ".pyc"),
                    "shown": os.environ.get("SHOWN"),
                    "cwd": Path.cwd() == Path(__file__).parent,
                    "root": str(root)[::-1],
                }
        """,
        ".secret": "kept here",
        "part.txt": "goes along",
    }
    flow = project.flow("looking", files)
    (project.root / ".env").write_text("IN_FILE=1\n")
    (project.root / "connections").mkdir()
    (project.root / "connections" / "mine.yaml").write_text("name: mine\ntype: openai\napi_key: ${env:MINE_KEY}\n")
    project.workspace.close()
    given = Environment({"IN_FILE": "1", "MINE_KEY": "k", "AWS_SECRET": "no", "PF_X": "1", "HOME": "/"})
    project.workspace = Workspace(project.root, environment=given)
    loaded = load_flow(project.root / flow)
    assert variables(project.workspace, loaded) == {"IN_FILE": "1", "MINE_KEY": "k", "PF_X": "1"}
    run = project.run(RunSpec(flow=flow, data=project.data([{"x": 1}]), compute=address(ray), workers=1))
    row = project.rows(run)[0]
    assert row.status == "completed", row.error
    seen = row.outputs
    assert (seen["shown"], seen["cwd"]) == ("k", True)
    assert seen["files"] == [
        "connections/mine.yaml",
        "flows/looking/flow.flex.yaml",
        "flows/looking/looking.py",
        "flows/looking/part.txt",
        "pilothouse.yaml",
    ]
    root = Path(seen["root"][::-1])
    assert str(root).endswith(str(project.root))
    assert root != project.root
    assert not root.exists(), "what was unpacked is removed"


def test_a_flow_of_great_size_is_not_sent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilothouse.experiments.runs.compute.shipment.MOST", 1000)
    flow = project.flow("flex", {**FLEX, "model.bin": "x" * 2000})
    with pytest.raises(ConfigError, match="every worker would receive them"):
        pack(project.workspace, load_flow(project.root / flow))


# Workers that die

DYING = """
import os, time
from pathlib import Path
here = Path(__file__).parent
with open(here / "begun.txt", "a") as log:
    log.write(f"{x} {os.getpid()}\\n")
if x >= 20:
    while not (here / "go").exists():
        time.sleep(0.01)
time.sleep(0.002)
"""


def begun(project: Project) -> list[list[int]]:
    path = project.root / "flows/pair/begun.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [[int(word) for word in line.split()] for line in lines]


def test_a_worker_that_is_killed_costs_no_row(project: Project) -> None:
    # More than one worker can have ahead (`MOST`): there are rows left for the other, however late it comes.
    spec = pair(project, tool(DYING.strip()), rows=MOST + 100, name="base")
    (project.root / "flows/pair/go").touch()
    whole = project.run(msgspec.structs.replace(spec, name="whole", compute="local"))
    for name in ("go", "begun.txt"):
        (project.root / "flows/pair" / name).unlink()

    async def interfere() -> Run:
        task = asyncio.create_task(project.runs.execute(spec))
        while len({process for x, process in begun(project) if x >= 20}) < 2:
            await asyncio.sleep(0.01)
        os.kill(begun(project)[-1][1], signal.SIGKILL)
        (project.root / "flows/pair/go").touch()
        return await task

    run = asyncio.run(asyncio.wait_for(interfere(), 90))
    assert run.status == "completed"
    assert [plain(row) for row in project.rows(run)] == [plain(row) for row in project.rows(whole)]
    journal = next((project.root / ".pilothouse/runs" / run.id).glob("rows.jsonl"))
    recorded = Counter(msgspec.json.decode(line)["number"] for line in journal.read_bytes().splitlines())
    assert recorded == Counter(range(MOST + 100)), "nothing lost, nothing twice"
    again = [x for x, count in Counter(x for x, _ in begun(project)).items() if count > 1]
    assert again, "what the dead worker had was run again"
    assert run.metrics == whole.metrics


def test_a_row_that_kills_its_worker_fails_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (pool, suspects):
        monkeypatch.setattr(place, "COMPANY", (1,))
    run = project.run(pair(project, tool("if x == 13:\n    import os; os._exit(3)"), rows=40, workers=1))
    assert run.counts == Counts(total=40, completed=39, failed=1)
    row = project.rows(run)[13]
    assert error(row).startswith("WorkerLost: 2 workers on Ray ended one after another while they ran this row")
    assert row.inputs == {"x": 13}
    assert run.metrics["rows"] == 39


def test_suspects_get_less_company_each_time() -> None:
    lines = [Line(line_id=str(number), number=number, inputs={}) for number in range(20)]
    found = Suspects()
    assert found.add(lines) == []
    first = found.take()
    assert first == lines[:8]
    assert found.add(first) == []
    assert found.take() == lines[8:16]
    assert found.take() == lines[16:]
    assert [found.take() for _ in range(8)] == [[line] for line in first]
    assert found.add([first[0]]) == [first[0]]
    assert not found


def test_code_that_ends_a_worker_while_it_is_imported_is_told_and_nothing_is_recorded(project: Project) -> None:
    with pytest.raises(UserCodeError, match="ended while it opened the flow"):
        project.run(pair(project, tool("pass", head="import os; os._exit(5)")))
    assert project.runs.list() == []


def test_what_is_wrong_with_the_flow_is_told_as_in_one_process(project: Project, ray: Any) -> None:
    spec = pair(project, tool("pass", head="raise ValueError('at import')"))
    told = []
    for compute in ("local", address(ray)):
        with pytest.raises(UserCodeError) as caught:
            project.run(msgspec.structs.replace(spec, compute=compute))
        told.append((str(caught.value), caught.value.traceback))
    assert told[0] == told[1]


# Stopping and going on


def test_a_run_goes_on_in_one_process_and_then_on_ray_again(project: Project) -> None:
    spec = pair(project, tool(DYING.strip()), rows=30, name="base", workers=1)

    async def stopped() -> Run:
        stop = Stop()
        task = asyncio.create_task(project.runs.execute(spec, stop=stop))
        while sum(row[0] >= 20 for row in begun(project)) == 0 or project.runs.get("base").counts.done < 20:
            await asyncio.sleep(0.01)
        stop.ask()
        stop.ask()
        return await task

    run = asyncio.run(asyncio.wait_for(stopped(), 90))
    assert (run.status, run.counts.completed) == ("interrupted", 20)
    (project.root / "flows/pair/go").touch()
    project.broken(25)
    project.flow("pair", {"double.py": PAIR_FLOW["double.py"]})
    run = project.resume("base", compute="local", force=True)
    assert (run.counts.completed, run.counts.failed, run.environment["compute"]) == (29, 1, "local")
    project.broken()
    run = project.resume("base", compute="ray")
    assert (run.status, run.counts.completed, run.environment["compute"]) == ("completed", 30, "ray")
    assert [row.attempt for row in project.rows(run)] == [1] * 20 + [2] * 5 + [3] + [2] * 4
    assert run.metrics["mismatched"] == 0


def test_a_row_that_takes_too_long_is_given_up(project: Project) -> None:
    hang = tool("if x == 3:\n    import threading; threading.Event().wait()")
    run = project.run(pair(project, hang, timeout=0.3, workers=1))
    assert run.counts == Counts(total=10, completed=9, failed=1)
    assert error(project.rows(run)[3]).startswith("Timeout: ")


# What cannot be


def test_a_cluster_without_a_free_processor_is_told(project: Project, ray: Any) -> None:
    project.workspace.close()
    project.workspace = Workspace(project.root, environment=Environment({"PILOTHOUSE_RUNS__COMPUTE_WAIT": "0.3"}))
    cpus = int(ray.cluster_resources()["CPU"])
    hog = ray.remote(Hog).options(num_cpus=cpus).remote()
    assert ray.get(hog.here.remote())
    try:
        with pytest.raises(ConfigError, match="no free processor for a worker within"):
            project.run(pair(project, tool("pass")))
    finally:
        ray.kill(hog)
    assert project.runs.list() == []


STRANGER = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False); print(ray.cluster_resources()['CPU'])"


@pytest.mark.parametrize("knows", [False, True])
def test_who_lacks_the_token_is_turned_away(ray: Any, monkeypatch: pytest.MonkeyPatch, knows: bool) -> None:
    for name in () if knows else ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name)
    address = ray.get_runtime_context().gcs_address
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, address], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode == 0) is knows, done.stderr
    assert knows or "InvalidAuthToken" in done.stderr


class Hog:
    """Takes processors."""

    def here(self) -> bool:
        return True


def test_another_version_on_the_cluster_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "VERSION", "99.0")
    with pytest.raises(ConfigError, match="has pilothouse") as caught:
        project.run(pair(project, tool("pass")))
    assert "pilothouse 99.0 on Python" in str(caught.value)


def test_what_ray_says_of_other_versions_is_told() -> None:
    refused = link._refused("h:1", RuntimeError("Version mismatch: The cluster was started with: Ray: 1.0"))
    assert "runs another version" in str(refused)
    assert "Ray: 1.0" in str(refused)


def test_a_ray_that_does_not_answer_is_told_at_once(project: Project) -> None:
    with pytest.raises(Conflict, match="connected to the Ray at"):
        project.run(pair(project, tool("pass"), compute="127.0.0.1:1"))


def test_ray_that_is_not_installed_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'pip install "pilothouse\[ray\]"'):
        asyncio.run(RayLink().connect("ray", 1))


@pytest.mark.parametrize("text", ["", "rays", "ray://", "ray://host", "host:0", "host:99999", "http://h:1", "a b:1"])
def test_places_without_meaning_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no place to compute rows"):
        check_compute(text)


@pytest.mark.parametrize("text", ["local", "ray", "auto", "ray://head.example:10001", "10.0.0.1:6379", "[::1]:6379"])
def test_places_with_meaning_are_taken(text: str) -> None:
    assert check_compute(text) == text


@pytest.mark.parametrize(
    ("spec", "settings", "expected"),
    [
        ({}, {}, "local"),
        ({"compute": "ray"}, {}, "ray"),
        ({}, {"compute": "auto"}, "auto"),
        ({"compute": "local", "isolation": "process"}, {"compute": "ray"}, "local"),
        ({"compute": "ray"}, {"isolation": "process"}, "ray"),
    ],
)
def test_the_run_decides_then_the_project(spec: Mapping[str, Any], settings: Mapping[str, Any], expected: str) -> None:
    found = choose(RunSpec(flow="f", **spec), RunSettings(**settings), Environment({"PF_BATCH_METHOD": "fork"}))
    assert found.compute == expected


def test_what_contradicts_is_refused(project: Project) -> None:
    with pytest.raises(ConfigError, match="Ray's own processes"):
        choose(RunSpec(flow="f", compute="ray", isolation="process"), RunSettings(), Environment({}))
    with pytest.raises(ConfigError, match="object of this process"):
        choose(RunSpec(flow="f", compute="ray"), RunSettings(), Environment({}), is_bound=True)
    assert choose(RunSpec(flow="f"), RunSettings(compute="ray"), Environment({}), is_bound=True).compute == "local"
    with pytest.raises(UserError, match="workers is 0"):
        project.run(project.spec(workers=0))


def test_a_worker_has_as_many_lines_as_it_runs_in_a_moment() -> None:
    models = Window(64, is_sync=False)
    assert models.size == 64
    models.heard(64, 2.0)
    assert models.size == 64
    python = Window(16, is_sync=True)
    assert python.size == 1
    for _ in range(10):
        python.heard(1, 5.0)
    assert python.size == 16
    for _ in range(20):
        python.heard(500, 0.05)
    assert python.size == MOST


# A driver that dies


def test_a_driver_that_is_killed_leaves_nothing_and_the_run_goes_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = pair(project, tool(DYING.strip()), rows=30, name="base", workers=1)
    code = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        import msgspec
        from pilothouse.experiments.runs.service import RunService
        from pilothouse.experiments.runs.types import RunSpec
        from pilothouse.workspace import Workspace

        with Workspace(Path(sys.argv[1])) as workspace:
            spec = msgspec.json.decode(sys.argv[2], type=RunSpec)
            asyncio.run(workspace.get(RunService).execute(spec))
        """
    )
    given = [str(project.root), msgspec.json.encode(spec).decode()]
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    driver = subprocess.Popen([sys.executable, "-c", code, *given], start_new_session=True)
    deadline = time.monotonic() + 90
    while sum(row[0] >= 20 for row in begun(project)) == 0:
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(list(marked(mark))) > 3
    driver.kill()
    driver.wait(30)
    assert none_is_left(mark, within=240)
    assert project.runs.get("base").status == "interrupted"
    (project.root / "flows/pair/go").touch()
    run = project.resume("base", compute="local", force=True)
    assert (run.status, run.counts.completed, run.metrics["mismatched"]) == ("completed", 30, 0)
