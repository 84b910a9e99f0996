"""Graphs of a hundred nodes: side by side where the graph allows, right answers, and nothing left when they are stopped."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.flows.building import FakeModels, Project, answer, llm, python, run, tool

from pilothouse.flows.loader import load_flow
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings

Graph = dict[int, list[int]]

FAN: Graph = {0: [], **{place: [0] for place in range(1, 99)}, 99: list(range(1, 99))}
CHAIN: Graph = {place: [place - 1] if place else [] for place in range(100)}
LAYERS: Graph = {
    place: [place // 10 * 10 - 10 + other for other in range(10)] if place >= 10 else [] for place in range(100)
}


def random_graph(seed: int) -> Graph:
    """Return a graph whose nodes read up to three of those before them."""
    chance = random.Random(seed)
    return {place: sorted(chance.sample(range(place), min(place, chance.randint(0, 3)))) for place in range(100)}


def expected(graph: Graph) -> dict[int, int]:
    """Return what each node gives: one more than the sum of what it reads, by a modulus."""
    found: dict[int, int] = {}
    for place in range(100):
        found[place] = (1 + sum(found[other] for other in graph[place])) % 10_007
    return found


ADD = "return (1 + sum(values.values())) % 10_007"


def nodes_of(graph: Graph, source: str = "add.py") -> list[dict[str, Any]]:
    nodes = [
        python(f"n{place}", source, inputs={f"v{other}": f"${{n{other}.output}}" for other in reads})
        for place, reads in graph.items()
    ]
    random.Random(0).shuffle(nodes)  # the order in the file means nothing
    return nodes


def flow(project: Project, graph: Graph, kind: str = "def", body: str = ADD, head: str = "") -> Path:
    source = tool("add", "**values", body, head=head).replace("def add", f"{kind} add")
    outputs = {f"o{place}": f"${{n{place}.output}}" for place in range(100)}
    return project.flow(nodes_of(graph), outputs=outputs, files={"add.py": source})


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    "graph", [FAN, CHAIN, LAYERS, *map(random_graph, range(3))], ids=["fan", "chain", "layers", "r0", "r1", "r2"]
)
def test_the_answers_of_a_hundred_nodes_are_right(project: Project, graph: Graph, kind: str) -> None:
    result = run(flow(project, graph, kind))
    assert result.error is None, result.error
    assert result.outputs == {f"o{place}": value for place, value in expected(graph).items()}
    assert len(result.nodes) == 100


# All nodes of a group wait for each other: they end only when as many are inside at once.
MEETING = """
import threading
GUARD, ROOMS = threading.Lock(), {}
def room(size):
    with GUARD:
        return ROOMS.setdefault(size, threading.Barrier(size, timeout=30))
"""
MEETING_ON_LOOP = """
import asyncio
WAITING, ALL = [0], []
async def meet(size):
    if not ALL or ALL[-1].is_set():
        ALL.append(asyncio.Event())
    event = ALL[-1]
    WAITING[0] += 1
    if WAITING[0] == size:
        WAITING[0] = 0
        event.set()
    await asyncio.wait_for(event.wait(), 30)
"""


@pytest.mark.parametrize(("graph", "reads", "size"), [(FAN, 1, 98), (LAYERS, 10, 10)], ids=["fan", "layers"])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_all_nodes_that_are_ready_run_at_once(project: Project, graph: Graph, reads: int, size: int, kind: str) -> None:
    meet = f"room({size}).wait()" if kind == "def" else f"await meet({size})"
    body = f"if len(values) == {reads}:\n        {meet}\n    {ADD}"
    head = MEETING if kind == "def" else MEETING_ON_LOOP
    result = run(flow(project, graph, kind, body, head))
    assert result.error is None, result.error
    assert result.outputs["o99"] == expected(graph)[99]


def test_model_calls_of_a_wide_flow_are_in_flight_at_once(project: Project) -> None:
    models = FakeModels(lambda _: answer("1"))
    inside = most = 0
    everybody = asyncio.Event()
    original = models.fake._answer

    async def meeting(request: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 98:
            everybody.set()
        await asyncio.wait_for(everybody.wait(), 30)
        return await original(request)

    models.fake._answer = meeting  # type: ignore[method-assign]
    nodes = [llm(f"ask{place}", "ask.jinja2") for place in range(98)]
    nodes.append(python("count", inputs={f"v{place}": f"${{ask{place}.output}}" for place in range(98)}))
    files = {"ask.jinja2": "user:\nx\n", "count.py": tool("count", "**values", "return sum(map(int, values.values()))")}
    path = project.flow(nodes, outputs={"o": "${count.output}"}, files=files)
    assert run(path, models=models).outputs == {"o": 98}
    assert most == 98


def test_what_hangs_on_a_bypassed_node_is_bypassed_and_the_rest_is_not(project: Project) -> None:
    """Ten chains of ten; every second one is switched off at its fourth node."""
    nodes = []
    for chain in range(10):
        for place in range(10):
            reads = {"value": f"${{c{chain}n{place - 1}.output}}"} if place else {"value": 0}
            more = {"activate": {"when": "${inputs.even}", "is": chain % 2 == 0}} if place == 4 else {}
            nodes.append(python(f"c{chain}n{place}", "add.py", inputs=reads, **more))
    outputs = {f"o{chain}": f"${{c{chain}n9.output}}" for chain in range(10)}
    path = project.flow(
        nodes,
        inputs={"even": {"type": "bool"}},
        outputs=outputs,
        files={"add.py": tool("add", "value", "return value + 1")},
    )
    result = run(path, {"even": True})
    assert result.outputs == {f"o{chain}": 10 if chain % 2 == 0 else None for chain in range(10)}
    states = [node.status for node in result.nodes]
    assert (states.count("completed"), states.count("bypassed")) == (70, 30)


def test_a_failure_in_one_branch_stops_the_others(project: Project) -> None:
    """Nine chains wait for the failure at their second node; none of them comes to its third."""
    head = "import threading\nFAILED = threading.Event()\nINSIDE = threading.Barrier(10, timeout=30)"
    body = (
        "if place == 1:\n        gate.INSIDE.wait()\n        if chain == 3:\n            gate.FAILED.set()\n"
        "            raise ValueError('three')\n        gate.FAILED.wait(30)\n        time.sleep(0.05)\n    return 1"
    )
    nodes = [
        python(
            f"c{chain}n{place}",
            "step.py",
            inputs={"chain": chain, "place": place, "value": f"${{c{chain}n{place - 1}.output}}" if place else 0},
        )
        for chain in range(10)
        for place in range(10)
    ]
    files = {"gate.py": head, "step.py": tool("step", "chain: int, place: int, value", body, head="import gate, time")}
    result = run(project.flow(nodes, files=files))
    assert result.error is not None
    assert (result.error.node, result.error.message) == ("c3n1", "three")
    assert {node.node[2:] for node in result.nodes} == {"n0", "n1"}


# Nothing is left


def tool_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("tool-")}


def gone(threads: set[threading.Thread]) -> bool:
    """Return whether threads end, after waiting for them."""
    deadline = time.monotonic() + 20
    while any(thread.is_alive() for thread in threads):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


GATE = "import threading\nINSIDE = threading.Semaphore(0)\nGO = threading.Event()\nENTERED = []"
HOLD = "gate.ENTERED.append(1)\n    gate.INSIDE.release()\n    gate.GO.wait(60)\n    return 1"


def gate() -> Any:
    found = [name for name in sys.modules if name.startswith("pilothouse_flow_") and name.endswith(".gate")]
    return sys.modules[max(found, key=lambda name: int(name.split("_")[2].split(".")[0]))]


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_the_threads_of_a_stopped_line_end_with_their_tools(project: Project, how: str) -> None:
    """50 sync tools are held and 48 of another kind wait behind them: those never begin."""
    nodes = [python(f"held{place}", "held.py") for place in range(50)]
    nodes += [python(f"after{place}", "held.py", inputs={"value": f"${{held{place}.output}}"}) for place in range(48)]
    files = {"gate.py": GATE, "held.py": tool("held", "value=0", HOLD, head="import gate")}
    path = project.flow(nodes, files=files)
    before = tool_threads()

    async def go() -> set[threading.Thread]:
        limit = 1.0 if how == "timed out" else None
        async with FlowRunner(load_flow(path), settings=FlowSettings(line_timeout=limit)) as opened:
            tasks = asyncio.all_tasks()
            line = asyncio.create_task(opened.run_line({}))
            if how == "cancelled":
                for _ in range(50):
                    assert await asyncio.to_thread(gate().INSIDE.acquire, timeout=30)
                line.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await line
            else:
                result = await line
                assert result.error is not None
                assert result.error.type == "Timeout"
            assert asyncio.all_tasks() == tasks
            held = tool_threads() - before
            assert len(held) == len(gate().ENTERED)  # one for each tool that is inside, and no other
            gate().GO.set()
        return held

    held = asyncio.run(go())
    assert 0 < len(held) <= 50
    assert gone(held)


def test_the_threads_of_a_run_end_when_it_is_closed(project: Project) -> None:
    before = tool_threads()
    path = flow(project, LAYERS, "def")

    async def go() -> set[threading.Thread]:
        async with FlowRunner(load_flow(path)) as opened:
            await asyncio.gather(*(opened.run_line({}) for _ in range(10)))
            return tool_threads() - before

    started = asyncio.run(go())
    assert started
    assert gone(started)
