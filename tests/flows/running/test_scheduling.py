"""Scheduling: side by side where the graph allows, and nothing left behind when a line is stopped."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.flows.building import FakeModels, Project, answer, llm, prompt, python, run, tool

from pilothouse.flows.loader import load_flow
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings
from pilothouse.models.types import ChatRequest, ChatResponse

ECHO = tool("echo", "value", "return value")
# Waits until `count` tools are inside at once: only side by side can they pass.
MEET = (
    "import threading\nBARRIERS = {}\nGUARD = threading.Lock()\n"
    "def barrier(count):\n    with GUARD:\n        return BARRIERS.setdefault(count, threading.Barrier(count, timeout=20))\n"
)


def runner(path: Path, **options: Any) -> FlowRunner:
    return FlowRunner(load_flow(path), **options).open()


def meeting(project: Project, count: int) -> Path:
    nodes = [python(f"n{number}", "meet.py", inputs={"count": count}) for number in range(count)]
    nodes.append(python("last", "count.py", inputs={f"v{number}": f"${{n{number}.output}}" for number in range(count)}))
    files = {
        "meet.py": tool("meet", "count: int", "barrier(count).wait(); return 1", head=MEET),
        "count.py": tool("total", "**values", "return sum(values.values())"),
    }
    return project.flow(nodes, outputs={"o": "${last.output}"}, files=files)


@pytest.mark.parametrize("count", [2, 20, 100])
def test_sync_tools_that_are_ready_run_side_by_side(project: Project, count: int) -> None:
    assert run(meeting(project, count)).outputs == {"o": count}


def test_somebody_elses_threads_can_be_used(project: Project) -> None:
    names = tool("name", "", "import threading; return threading.current_thread().name")
    path = project.flow([python("name")], outputs={"o": "${name.output}"}, files={"name.py": names})
    with ThreadPoolExecutor(2, thread_name_prefix="theirs") as pool:
        assert run(path, executor=pool).outputs["o"].startswith("theirs")
        assert run(meeting(Project(path.parent / "meet"), 2), executor=pool).outputs == {"o": 2}


def test_async_tools_and_model_calls_run_side_by_side_on_the_loop(project: Project) -> None:
    head = "import asyncio\nARRIVED = []\nALL = asyncio.Event()"
    body = "ARRIVED.append(number)\n    if len(ARRIVED) == 50:\n        ALL.set()\n    await asyncio.wait_for(ALL.wait(), 20)\n    return number"
    source = tool("meet", "number", body, head=head).replace("def meet", "async def meet")
    nodes = [python(f"n{number}", "meet.py", inputs={"number": number}) for number in range(50)]
    path = project.flow(nodes, outputs={"o": "${n49.output}"}, files={"meet.py": source})
    assert run(path).outputs == {"o": 49}


def test_branches_do_not_wait_for_each_other(project: Project) -> None:
    """A slow branch and a fast one: the fast one comes to its end while the slow one still waits for it."""
    head = "import threading\nDONE = threading.Event()"
    wait = "import gate\n" + tool("wait", "", "return gate.DONE.wait(20)")
    opener = "import gate\n" + tool("open_gate", "value", "gate.DONE.set(); return value")
    nodes = [
        python("wait"),
        python("a", "echo.py", inputs={"value": 1}),
        python("b", "open.py", inputs={"value": "${a.output}"}),
    ]
    files = {"gate.py": head, "wait.py": wait, "echo.py": ECHO, "open.py": opener}
    assert run(project.flow(nodes, outputs={"o": "${wait.output}"}, files=files)).outputs == {"o": True}


def chain(project: Project, count: int, **more: dict[str, Any]) -> Path:
    name = tool("name", "value", "import threading; return [*value, threading.current_thread().name]")
    nodes = [python("n0", "name.py", inputs={"value": []})]
    nodes += [
        python(f"n{number}", "name.py", inputs={"value": f"${{n{number - 1}.output}}"}) for number in range(1, count)
    ]
    return project.flow(nodes, outputs={"o": f"${{n{count - 1}.output}}"}, files={"name.py": name})


def test_a_chain_of_sync_tools_takes_one_hop_into_a_thread(project: Project) -> None:
    path = chain(project, 6)
    opened = runner(path)
    assert opened.is_sync
    hops: list[object] = []
    original = opened._threads.submit

    def counted(call: Any) -> Any:
        hops.append(call)
        return original(call)

    opened._threads.submit = counted  # type: ignore[method-assign]
    result = asyncio.run(opened.run_line({}))
    assert len(hops) == 1
    assert len(set(result.outputs["o"])) == 1
    assert result.outputs["o"][0] != threading.current_thread().name
    assert set(opened.run_line_sync({}).outputs["o"]) == {threading.current_thread().name}


def test_a_chain_goes_on_through_prompts_and_stops_before_models(project: Project) -> None:
    nodes = [
        python("a", "echo.py", inputs={"value": "x"}),
        prompt("p", inputs={"value": "${a.output}"}),
        python("b", "echo.py", inputs={"value": "${p.output}"}),
        llm("ask", inputs={"value": "${b.output}"}),
        python("c", "echo.py", inputs={"value": "${ask.output}"}),
    ]
    files = {"echo.py": ECHO, "p.jinja2": "<{{ value }}>", "ask.jinja2": "user:\n{{ value }}\n"}
    opened = runner(project.flow(nodes, outputs={"o": "${c.output}"}, files=files), models=FakeModels())
    plan = opened._ready.lines
    assert {node.name: [plan.nodes[index].name for index in node.chain] for node in plan.nodes} == {
        "a": ["p", "b"],
        "p": [],
        "b": [],
        "ask": [],
        "c": [],
    }
    assert not opened.is_sync
    assert asyncio.run(opened.run_line({})).outputs == {"o": "<x>"}


@pytest.mark.parametrize(
    ("edges", "chains"),
    [
        ({"a": "", "b": "a", "c": "ab"}, {"a": "bc", "b": "c", "c": ""}),
        ({"a": "", "b": "a", "c": "a", "d": "bc"}, {"a": "", "b": "", "c": "", "d": ""}),
        ({"a": "", "b": "", "c": "a", "d": "b", "e": "cd"}, {"a": "c", "b": "d", "c": "", "d": "", "e": ""}),
        ({"a": "", "b": "a", "c": "b", "d": "a"}, {"a": "", "b": "c", "c": "", "d": ""}),
    ],
)
def test_chains_are_found_in_the_graph(project: Project, edges: dict[str, str], chains: dict[str, str]) -> None:
    nodes = [
        python(name, "all.py", inputs={other: f"${{{other}.output}}" for other in reads})
        for name, reads in edges.items()
    ]
    opened = runner(project.flow(nodes, files={"all.py": tool("all_", "**values", "return 1")}))
    plan = opened._ready.lines
    assert {node.name: "".join(plan.nodes[index].name for index in node.chain) for node in plan.nodes} == chains
    assert asyncio.run(opened.run_line({})).status == "completed"


def test_a_flow_with_two_nodes_ready_at_once_is_not_run_in_order(project: Project) -> None:
    assert not runner(meeting(project, 2)).is_sync


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("yield 'a'; yield 'b'", "ab"),
        ("return (x for x in 'ab')", "ab"),
        ("return iter([1, 2])", "12"),
        ("return map(str, [1, 2])", "12"),
        ("yield from []", ""),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_generator_is_joined_for_an_output_and_read_item_by_item_by_a_node(
    project: Project, body: str, expected: str, kind: str
) -> None:
    if kind == "async def" and ("return" in body or "from" in body):
        body = "for x in '" + expected + "':\n        yield x" if expected else "for x in []:\n        yield x"
    source = tool("gen", "", body).replace("def gen", f"{kind} gen")
    nodes = [
        python("gen"),
        python("items", inputs={"values": "${gen.output}"}),
        python("again", "items.py", inputs={"values": "${gen.output}"}),
    ]
    path = project.flow(
        nodes,
        outputs={"text": "${gen.output}", "items": "${items.output}", "again": "${again.output}"},
        files={
            "gen.py": source,
            "items.py": tool("items", "values", "return [str(next(values, '-')), *map(str, values)]"),
        },
    )
    result = run(path)
    assert result.error is None, result.error
    items = list(expected) or ["-"]
    assert result.outputs == {"text": expected, "items": items, "again": items}
    assert result.nodes[0].output == expected


def test_a_generator_that_raises_fails_its_own_node(project: Project) -> None:
    nodes = [python("gen"), python("items", inputs={"values": "${gen.output}"})]
    path = project.flow(
        nodes,
        files={
            "gen.py": tool("gen", "", "yield 1; raise ValueError('late')"),
            "items.py": tool("items", "values", "return 1"),
        },
    )
    result = run(path)
    assert result.error is not None
    assert (result.error.node, result.error.type) == ("gen", "ValueError")
    assert [node.node for node in result.nodes] == ["gen"]


def test_an_async_tool_in_disguise_is_told(project: Project) -> None:
    source = "from pilothouse import tool\nasync def inner():\n    return 1\n@tool\ndef f():\n    return inner()\n"
    result = run(project.flow([python("f")], files={"f.py": source}))
    assert result.error is not None
    assert "returned a coroutine" in result.error.message


def test_after_a_failure_nothing_new_begins_and_async_nodes_are_stopped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = FakeModels(lambda _: answer("late"))
    models.fake.delay = 60.0
    # The tool fails only once the model was asked: which of two threads is first is not what is tested.
    begun, chat = threading.Event(), models.fake.chat

    async def chat_and_tell(request: ChatRequest) -> ChatResponse:
        begun.set()
        return await chat(request)

    monkeypatch.setattr(models.fake, "chat", chat_and_tell)
    monkeypatch.setitem(sys.modules, "begun", begun)  # type: ignore[arg-type]
    nodes = [
        llm("slow"),
        python("fails", inputs={"value": 1}),
        python("never", "echo.py", inputs={"value": "${fails.output}"}),
        python("neither", "echo.py", inputs={"value": "${slow.output}"}),
    ]
    fails = tool("fails", "value", "assert begun.wait(20); raise ValueError('no')", head="import begun")
    files = {"slow.jinja2": "user:\nx\n", "fails.py": fails, "echo.py": ECHO}
    result = run(project.flow(nodes, files=files), models=models)
    assert result.status == "failed"
    assert result.error is not None
    assert result.error.node == "fails"
    assert {node.node: node.status for node in result.nodes} == {"slow": "failed", "fails": "failed"}
    slow = result.node("slow")
    assert slow is not None
    assert slow.error is not None
    assert "stopped, because node 'fails' failed" in slow.error.message
    assert models.fake.cancelled == 1
    assert result.outputs == {}


def test_after_a_failure_a_running_thread_is_waited_for(project: Project) -> None:
    head = "import threading, time\nLEFT = []"
    slow = tool(
        "slow",
        "",
        "started.FAILED.wait(20); time.sleep(0.05); started.LEFT.append(1); return 'done'",
        head="import started, time",
    )
    nodes = [python("slow"), python("fails"), python("after", "echo.py", inputs={"value": "${slow.output}"})]
    files = {
        "started.py": head + "\nFAILED = threading.Event()",
        "slow.py": slow,
        "fails.py": tool("fails", "", "started.FAILED.set(); raise ValueError('no')", head="import started"),
        "echo.py": ECHO,
    }
    result = run(project.flow(nodes, files=files))
    assert {node.node: node.status for node in result.nodes} == {"slow": "completed", "fails": "failed"}


def test_a_cancelled_line_leaves_no_task_and_begins_no_further_node(project: Project) -> None:
    models = FakeModels()
    models.fake.delay = 60.0
    nodes = [llm("a"), llm("b", "a.jinja2"), python("after", "echo.py", inputs={"value": "${a.output}"})]
    path = project.flow(nodes, files={"a.jinja2": "user:\nx\n", "echo.py": ECHO})

    async def go() -> None:
        async with FlowRunner(load_flow(path), models=models) as opened:
            before = asyncio.all_tasks()
            task = asyncio.create_task(opened.run_line({}))
            while len(models.fake.requests) < 2:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == before
            assert models.fake.cancelled == 2

    asyncio.run(go())


def test_a_cancelled_line_runs_nothing_behind_the_tool_that_python_cannot_stop(project: Project) -> None:
    gate = (
        "import threading\nSTARTED = threading.Event()\nGO = threading.Event()\nENDED = threading.Event()\nAFTER = []"
    )
    nodes = [python("slow"), python("after", inputs={"value": "${slow.output}"})]
    files = {
        "gate.py": gate,
        "slow.py": tool(
            "slow", "", "gate.STARTED.set(); gate.GO.wait(20); gate.ENDED.set(); return gate", head="import gate"
        ),
        "after.py": tool("after", "value", "gate.AFTER.append(1)", head="import gate"),
    }
    path = project.flow(nodes, files=files)

    async def go() -> None:
        opened = runner(path)
        module = next(
            cell for name, cell in sys.modules.items() if name.startswith("pilothouse_flow_") and name.endswith(".gate")
        )
        task = asyncio.create_task(opened.run_line({}))
        await asyncio.to_thread(module.STARTED.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not module.ENDED.is_set()
        module.GO.set()
        assert await asyncio.to_thread(module.ENDED.wait, 20)
        # Another line through the same threads: whatever was to run behind the first has had its chance.
        assert (await opened.run_line({})).status == "completed"
        assert module.AFTER == [1]
        opened.close()

    asyncio.run(go())


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_node_that_takes_too_long_fails(project: Project, kind: str) -> None:
    body = (
        "import threading; threading.Event().wait(20)" if kind == "def" else "import asyncio; await asyncio.sleep(20)"
    )
    nodes = [python("slow"), python("after", "echo.py", inputs={"value": "${slow.output}"})]
    path = project.flow(
        nodes, files={"slow.py": tool("slow", "", body).replace("def slow", f"{kind} slow"), "echo.py": ECHO}
    )
    result = run(path, settings=FlowSettings(node_timeout=0.05))
    assert result.error is not None
    assert (result.error.type, result.error.node) == ("Timeout", "slow")
    assert "node 'slow' took longer than 0.05 s" in result.error.message
    assert [node.node for node in result.nodes] == ["slow"]


def test_a_line_that_takes_too_long_fails_and_names_the_node(project: Project) -> None:
    models = FakeModels()
    models.fake.delay = 20.0
    path = project.flow(
        [python("a", "echo.py", inputs={"value": 1}), llm("ask")], files={"echo.py": ECHO, "ask.jinja2": "user:\nx\n"}
    )
    result = run(path, models=models, settings=FlowSettings(line_timeout=1.0))
    assert result.status == "failed"
    assert result.error is not None
    assert result.error.type == "Timeout"
    assert {node.node: node.status for node in result.nodes} == {"a": "completed", "ask": "failed"}


def test_a_hanging_sync_tool_does_not_hold_the_line_or_the_process(project: Project) -> None:
    path = project.flow(
        [python("slow")], files={"slow.py": tool("slow", "", "import threading; threading.Event().wait(30)")}
    )
    result = run(path, settings=FlowSettings(line_timeout=0.05))
    assert result.error is not None
    assert result.error.type == "Timeout"
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("tool-"))


def test_a_limit_is_looked_at_between_nodes_where_a_line_runs_in_order(project: Project) -> None:
    opened = runner(chain(project, 3), settings=FlowSettings(line_timeout=0.0))
    result = opened.run_line_sync({})
    assert result.error is not None
    assert result.error.type == "Timeout"
    assert result.nodes == ()


def test_a_timeout_that_the_tool_raises_itself_is_its_own(project: Project) -> None:
    source = tool("f", "", "raise TimeoutError('the database')").replace("def f", "async def f")
    result = run(project.flow([python("f")], files={"f.py": source}), settings=FlowSettings(node_timeout=20))
    assert result.error is not None
    assert (result.error.type, result.error.message) == ("TimeoutError", "the database")


def test_many_lines_at_once_do_not_mix(project: Project) -> None:
    nodes = [
        python("a", "echo.py", inputs={"value": "${inputs.x}"}),
        llm("ask", inputs={"q": "${a.output}"}),
        python("b", "echo.py", inputs={"value": "${ask.output}"}),
    ]
    path = project.flow(
        nodes,
        inputs={"x": "string"},
        outputs={"o": "${b.output}"},
        files={"echo.py": ECHO, "ask.jinja2": "user:\n{{ q }}\n"},
    )

    async def go() -> list[Any]:
        async with FlowRunner(load_flow(path), models=FakeModels()) as opened:
            return await asyncio.gather(*(opened.run_line({"x": f"line {x}"}, line_number=x) for x in range(200)))

    results = asyncio.run(go())
    assert [(result.line_number, result.outputs["o"]) for result in results] == [(x, f"line {x}") for x in range(200)]


def test_the_same_runner_serves_one_loop_after_another(project: Project) -> None:
    opened = runner(meeting(project, 3))
    for _ in range(3):
        assert asyncio.run(opened.run_line({})).outputs == {"o": 3}
