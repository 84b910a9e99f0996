"""Lines of flex flows: every kind of entry, what it is given, what becomes of what it returns."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import FlowError
from pilothouse.flows.loader import load_flow
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.settings import FlowSettings

from ..building import run, run_lines, write
from .conftest import Flex

ENTRIES = {
    "function": "def run(text: str): return text.upper()",
    "async function": "async def run(text: str): return text.upper()",
    "generator": "def run(text: str):\n    yield from text.upper()",
    "async generator": "async def run(text: str):\n    for letter in text: yield letter.upper()",
    "class": "class run:\n    def __call__(self, text: str): return text.upper()",
    "async class": "class run:\n    async def __call__(self, text: str): return text.upper()",
    "generating class": "class run:\n    def __call__(self, text: str):\n        yield from text.upper()",
    "async generating class": (
        "class run:\n    async def __call__(self, text: str):\n        for letter in text: yield letter.upper()"
    ),
}


@pytest.mark.parametrize("code", ENTRIES.values(), ids=ENTRIES)
def test_every_kind_of_entry_runs_and_its_value_stands_under_output(flex: Flex, code: str) -> None:
    line = run(flex(code), {"text": "ab"})
    assert (line.status, line.outputs) == ("completed", {"output": "AB"})


@pytest.mark.parametrize(("kind", "is_sync"), [("function", True), ("class", True), ("async function", False)])
def test_sync_entries_keep_the_fast_path(flex: Flex, kind: str, is_sync: bool) -> None:
    runner = FlowRunner(load_flow(flex(ENTRIES[kind])))
    assert runner.open().is_sync is is_sync
    if is_sync:
        assert runner.run_line_sync({"text": "ab"}).outputs == {"output": "AB"}
    runner.close()


def test_a_dict_is_the_outputs(flex: Flex) -> None:
    assert run(flex("def run(): return {'a': 1, 'b': [2]}")).outputs == {"a": 1, "b": [2]}


def test_a_dataclass_becomes_a_dict_at_every_depth(flex: Flex) -> None:
    code = """
        from dataclasses import dataclass
        @dataclass
        class Inner:
            n: int
        @dataclass
        class Answer:
            text: str
            parts: list
        def run() -> Answer:
            return Answer("x", [Inner(1), {"k": Inner(2)}])
    """
    path = flex(code)
    assert run(path).outputs == {"text": "x", "parts": [{"n": 1}, {"k": {"n": 2}}]}
    assert list(load_flow(path).outputs) == ["text", "parts"]


def test_generators_inside_of_a_dict_are_joined(flex: Flex) -> None:
    assert run(flex("def run(): return {'text': (c for c in 'abc'), 'n': 1}")).outputs == {"text": "abc", "n": 1}
    code = "async def letters():\n    yield 'a'\n    yield 'b'\nasync def run(): return {'text': letters()}"
    assert run(flex(code)).outputs == {"text": "ab"}


def test_inputs_take_the_types_of_the_annotations(flex: Flex) -> None:
    code = "def run(n: int, x: float, ok: bool, items: list[str], free): return dict(n=n, x=x, ok=ok, items=items, free=free)"
    given = {"n": "5", "x": 1, "ok": "true", "items": '["a"]', "free": "12"}
    outputs = run(flex(code), given).outputs
    assert outputs == {"n": 5, "x": 1.0, "ok": True, "items": ["a"], "free": "12"}
    assert isinstance(outputs["x"], float)


def test_a_nullable_input_takes_null_and_another_one_does_not(flex: Flex) -> None:
    path = flex("from typing import Optional\ndef run(a: int | None, b: Optional[float] = None): return [a, b]")
    assert run(path, {"a": None}).outputs == {"output": [None, None]}
    assert run(path, {"a": "3", "b": "4"}).outputs == {"output": [3, 4.0]}
    line = run(flex("def run(n: int): return n"), {"n": None})
    assert line.error is not None
    assert "not of the type int" in line.error.message


def test_a_python_default_is_pythons_own(flex: Flex) -> None:
    path = flex("MARK = object()\ndef run(text: str = 'none', mark=MARK): return [text, mark is MARK]")
    line = run(path, {})
    assert line.outputs == {"output": ["none", True]}
    assert load_flow(path).inputs["text"].default == "none"


def test_a_missing_input_is_named(flex: Flex) -> None:
    line = run(flex("def run(text: str): return text"), {"other": 1})
    assert line.error is not None
    assert "no value for the input 'text'" in line.error.message


def test_yaml_adds_to_the_annotations_and_wins(flex: Flex) -> None:
    yaml = """
        entry: main:run
        inputs:
          n: {type: int, default: 3, description: how many}
          text: {type: string, default: ""}
        outputs:
          output: {type: string}
          more: {type: string}
    """
    path = flex("def run(n: str, text=None): return f'{n!r} {text}'", yaml)
    flow = load_flow(path)
    assert (flow.inputs["n"].type, flow.inputs["n"].default) == ("int", 3)
    assert "declared as int" in flow.notes[0]
    line = run(path)
    assert line.outputs == {"output": "3 None"}
    assert line.notes == ("the output 'more' is declared, but 'run' did not return it",)


def test_kwargs_take_what_yaml_declares(flex: Flex) -> None:
    yaml = "entry: main:run\ninputs:\n  a: {type: int}\n"
    assert run(flex("def run(**values): return values", yaml), {"a": "1", "b": 2}).outputs == {"a": 1}


def test_the_sample_stands_in_only_where_nothing_is_given(flex: Flex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEX_NAME", "Ada")
    yaml = """
        entry: main:run
        sample:
          inputs:
            name: ${env:FLEX_NAME}
            facts: ${file:facts.json}
            missing: ${env:FLEX_MISSING}
    """
    path = flex("def run(name, facts, missing='-'): return [name, facts, missing]", yaml)
    write(path, {"facts.json": '{"n": 1}'})
    assert run(path, {}).outputs == {"output": ["Ada", {"n": 1}, "${env:FLEX_MISSING}"]}
    line = run(path, {"name": "Bob"})
    assert line.error is not None
    assert "'facts'" in line.error.message


def test_the_whole_sample_may_stand_in_a_file(flex: Flex) -> None:
    path = write(flex("def run(a, b): return a + b"), {})
    write(
        path,
        {"sample.yaml": "a: 1\nb: 2\n", "flow.flex.yaml": "entry: main:run\nsample:\n  inputs: ${file:sample.yaml}\n"},
    )
    assert run(path).outputs == {"output": 3}


def test_environment_variables_are_set_before_the_code_is_imported(flex: Flex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEX_SET", raising=False)
    monkeypatch.setenv("FLEX_SET", "old")
    yaml = "entry: main:run\nenvironment_variables:\n  FLEX_SET: {a: 1}\n"
    path = flex("import os\nVALUE = os.environ['FLEX_SET']\ndef run(): return VALUE", yaml)
    assert run(path).outputs == {"output": '{"a": 1}'}


def test_additional_includes_are_part_of_the_folder(flex: Flex, tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "shared/words.py": "def shout(text): return text + '!'",
            "impl.py": "from shared.words import shout\ndef run(text): return shout(text)",
        },
    )
    path = flex("", "entry: impl:run\nadditional_includes: [../shared, ../impl.py]\n")
    assert run(path, {"text": "a"}).outputs == {"output": "a!"}


def test_an_entry_may_come_from_another_module_or_a_package(flex: Flex) -> None:
    path = flex(
        "from inner.work import Base as run",
        inner__work="class Root:\n    def __call__(self, n: int): return n + 1\nclass Base(Root): pass\n",
    )
    assert run(path, {"n": "1"}).outputs == {"output": 2}
    path = flex("", "entry: inner.work:Base", inner__work="class Base:\n    def __call__(self): return 7\n")
    assert run(path).outputs == {"output": 7}


def test_a_flow_dag_yaml_with_an_entry_is_a_flex_flow(tmp_path: Path) -> None:
    write(tmp_path, {"flow.dag.yaml": "entry: main:run", "main.py": "def run(): return 1"})
    flow = load_flow(tmp_path)
    assert (flow.kind, [node.name for node in flow.nodes]) == ("flex", ["run"])
    assert run(tmp_path).outputs == {"output": 1}


def test_loading_runs_no_code(flex: Flex) -> None:
    flow = load_flow(flex("raise SystemExit('ran')\ndef run(text: str): return text"))
    assert list(flow.inputs) == ["text"]


def test_a_module_function_is_a_flow_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            "work.py": "def double(n: int) -> int:\n    return 2 * n\n",
            "deep/more.py": "class Add:\n    def __init__(self, by: int = 1): self.by = by\n    def __call__(self, n: int): return n + self.by\n",
        },
    )
    monkeypatch.chdir(tmp_path)
    for entry, expected in (("work:double", 10), ("deep.more:Add", 6)):
        flow = load_flow(entry)
        assert (flow.kind, flow.name) == ("function", entry.partition(":")[2])

        async def go(flow: Any = flow) -> Any:
            async with FlowRunner(flow) as runner:
                return await runner.run_line({"n": "5"})

        assert asyncio.run(go()).outputs == {"output": expected}


def test_what_the_entry_raises_is_the_lines_failure_with_its_own_frames(flex: Flex) -> None:
    line = run(flex("def run(): raise ValueError('no')"))
    assert line.error is not None
    assert (line.error.type, line.error.message, line.error.node) == ("ValueError", "no", "run")
    assert "main.py" in (line.error.traceback or "")
    assert "outputs.py" not in (line.error.traceback or "")


def test_a_sync_entry_that_returns_a_coroutine_is_told_to_be_async(flex: Flex) -> None:
    line = run(flex("async def inner(): return 1\ndef run(): return inner()"))
    assert line.error is not None
    assert "async def" in line.error.message


def test_a_line_time_limit_holds(flex: Flex) -> None:
    path = flex("import asyncio\nasync def run(): await asyncio.sleep(60)")
    line = run(path, settings=FlowSettings(line_timeout=0.05))
    assert line.error is not None
    assert line.error.type == "Timeout"


def test_hostile_outputs_do_not_break_the_line(flex: Flex) -> None:
    code = """
        class Odd:
            def __repr__(self): raise ValueError("no")
        def run(kind: str):
            if kind == "self":
                value = {}
                value["me"] = value
                return value
            return {1: Odd()}
    """
    looping, odd = run_lines(flex(code), [{"kind": "self"}, {"kind": "odd"}])
    assert looping.error is not None
    assert looping.error.type == "RecursionError"
    assert list(odd.outputs) == ["1"]


def test_variants_are_refused(flex: Flex) -> None:
    flow = load_flow(flex("def run(): return 1"))
    with pytest.raises(FlowError, match="a flex flow has no variants"):
        FlowRunner(flow, variants={"run": "a"})


def test_nothing_is_left_behind(flex: Flex) -> None:
    before, path = set(sys.modules), list(sys.path)
    run(flex("import helpers\ndef run(): return helpers.N", helpers="N = 1"))
    assert {name for name in sys.modules if name.startswith("pilothouse_flow_")} <= before
    assert sys.path == path
