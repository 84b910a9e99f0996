"""What is wrong with a flex flow is said at load, with file, line and cure, without running it."""

from __future__ import annotations

import pytest

from pilothouse.core.errors import FlowError
from pilothouse.flows.library import find_flows
from pilothouse.flows.loader import load_flow

from .conftest import Flex

RUN = "def run(text: str): return text"
CLASS = "class run:\n    def __init__(self, mark: str): pass\n    def __call__(self, text: str): return text\n"

REFUSED = {
    "no entry": (RUN, "name: x", "flow.flex.yaml", "needs an entry"),
    "entry without colon": (RUN, "entry: main.run", "flow.flex.yaml:1", "module:function or module:Class"),
    "entry with a path": (RUN, "entry: main.py:run", "flow.flex.yaml:1", "expected: .*main"),
    "hostile entry": (RUN, "entry: '../../etc/passwd:run'", "flow.flex.yaml:1", "does not name a function"),
    "no such module": (RUN, "name: x\nentry: mian:run", "flow.flex.yaml:2", "did you mean 'main'"),
    "no such name": (RUN, "entry: main:rum", "flow.flex.yaml:1", "did you mean 'run'"),
    "neither function nor class": ("run = 5", "entry: main:run", "flow.flex.yaml:1", "defines no function or class"),
    "an import of itself": ("from main import run", "entry: main:run", "flow.flex.yaml:1", "defines no function"),
    "not Python": ("def run(:\n", "entry: main:run", "main.py:1", "this is not Python"),
    "class without call": ("x = 1\nclass run: pass", "entry: main:run", "main.py:2", "no __call__"),
    "positional input": ("def run(a, /): return a", "entry: main:run", "main.py:1", "take the `/` out"),
    "unknown input": (
        RUN,
        "entry: main:run\ninputs:\n  txt: {type: string}",
        "flow.flex.yaml:3",
        "did you mean 'text'",
    ),
    "unknown type": (
        RUN,
        "entry: main:run\ninputs:\n  text: {type: strnig}",
        "flow.flex.yaml:3",
        "did you mean 'string'",
    ),
    "unknown key": (RUN, "entry: main:run\nsampel: {}", "flow.flex.yaml:2", "did you mean 'sample'"),
    "nodes": (RUN, "entry: main:run\nnodes: [{name: a}]", "flow.flex.yaml:2", "has no 'nodes'"),
    "variants": (RUN, "entry: main:run\nnode_variants: {a: {}}", "flow.flex.yaml:2", "has no 'node_variants'"),
    "csharp": (RUN, "entry: main:run\nlanguage: csharp", "flow.flex.yaml:2", "rewrite"),
    "init of a function": (RUN, "entry: main:run\ninit:\n  a: {type: int}", "flow.flex.yaml:2", "is a function"),
    "unknown init": (
        CLASS,
        "entry: main:run\ninit:\n  marc: {type: string}",
        "flow.flex.yaml:3",
        "did you mean 'mark'",
    ),
    "unknown init in the sample": (
        CLASS,
        "entry: main:run\nsample:\n  init:\n    marc: x",
        "flow.flex.yaml:4",
        "did you mean 'mark'",
    ),
    "unknown input in the sample": (
        RUN,
        "entry: main:run\nsample:\n  inputs:\n    txt: x",
        "flow.flex.yaml:4",
        "did you mean 'text'",
    ),
    "unknown part of the sample": (RUN, "entry: main:run\nsample: {input: {}}", "flow.flex.yaml:2", "'inputs'"),
    "sample without its file": (
        RUN,
        "entry: main:run\nsample:\n  inputs: ${file:gone.json}",
        "flow.flex.yaml:3",
        "gone.json cannot be read",
    ),
    "sample that is a list": (RUN, "entry: main:run\nsample: {inputs: [1]}", "flow.flex.yaml:2", "not a mapping"),
    "missing include": (RUN, "entry: main:run\nadditional_includes: [gone.py]", "flow.flex.yaml:2", "does not exist"),
    "code elsewhere": (RUN, "entry: main:run\ncode: ..", "flow.flex.yaml:2", "additional_includes"),
    "aggregate without a parameter": (
        CLASS + "    def __aggregate__(self): pass",
        "entry: main:run",
        "main.py:4",
        "takes 0 parameters",
    ),
    "aggregate with two parameters": (
        CLASS + "    def __aggregate__(self, lines, more=1): pass",
        "entry: main:run",
        "main.py:4",
        "one parameter",
    ),
}


@pytest.mark.parametrize(("code", "yaml", "where", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_at_load(flex: Flex, code: str, yaml: str, where: str, message: str) -> None:
    with pytest.raises(FlowError, match=message) as error:
        load_flow(flex(code, yaml))
    assert where in str(error.value)


def test_code_that_needs_what_is_not_offered_of_prompt_flow_is_told_at_load(flex: Flex) -> None:
    with pytest.raises(FlowError, match="not part of what Pilothouse offers"):
        load_flow(flex("from promptflow.batch import BatchEngine\ndef run(): return 1"))


def test_a_dataclass_is_made_of_its_fields(flex: Flex) -> None:
    code = "from dataclasses import dataclass\n@dataclass\nclass run:\n    mark: str\n    n: int = 1\n    def __call__(self): return 1"
    flow = load_flow(flex(code))
    assert {name: item.has_default for name, item in flow.init.items()} == {"mark": False, "n": True}


def test_the_digest_follows_the_files(flex: Flex) -> None:
    first = load_flow(flex(RUN)).digest
    assert load_flow(flex(RUN)).digest == first
    assert load_flow(flex(RUN + " + '!'")).digest != first


def test_flex_flows_are_listed_with_the_others(flex: Flex) -> None:
    path = flex(RUN)
    (entry,) = find_flows(path.parent)
    assert entry.flow is not None
    assert entry.flow.kind == "flex"
