"""What makes a chat flow, and the history that is kept for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.errors import FlowError
from pilothouse.flows.chat.conversation import Conversation, chat_ports, is_chat
from pilothouse.flows.loader import load_flow

from ..building import Project, python, tool, write

QUESTION = {"type": "string", "is_chat_input": True}
HISTORY = {"type": "list", "is_chat_history": True}
ANSWER = {"type": "string", "reference": "${work.output}", "is_chat_output": True}


def graph(project: Project, inputs: dict[str, Any], outputs: dict[str, Any]) -> Path:
    return project.flow(
        [python("work")], inputs=inputs, outputs=outputs, files={"work.py": tool("work", "", "return 1")}
    )


def test_a_graph_gets_inputs_and_all_outputs_as_history(project: Project) -> None:
    outputs = {"said": ANSWER, "more": "${work.output}"}
    flow = load_flow(graph(project, {"q": QUESTION, "before": HISTORY, "city": "string"}, outputs))
    talk = Conversation(flow, {"city": "Lisbon"})
    assert talk.inputs("hi") == {"city": "Lisbon", "q": "hi", "before": []}
    talk.add("hi", {"said": "hello", "more": 1})
    assert talk.inputs("how") == {
        "city": "Lisbon", "q": "how", "before": [{"inputs": {"q": "hi"}, "outputs": {"said": "hello", "more": 1}}],
    }  # fmt: skip


def test_history_is_known_by_its_name_and_may_begin_with_something(project: Project) -> None:
    begun = [{"inputs": {"q": "a"}, "outputs": {"said": "b"}}]
    inputs = {"q": QUESTION, "chat_history": {"type": "list", "default": begun}}
    flow = load_flow(graph(project, inputs, {"said": ANSWER}))
    assert Conversation(flow).inputs("x")["chat_history"] == begun
    given = [{"inputs": {"q": "c"}, "outputs": {"said": "d"}}]
    talk = Conversation(flow, {"chat_history": given})
    talk.add("x", {"said": "y"})
    assert (len(talk.history), len(given)) == (2, 1)


def test_a_flex_flow_gets_messages_as_history(tmp_path: Path) -> None:
    source = "def run(question: str, chat_history: list):\n    return question\n"
    flex = "entry: main:run\ninputs:\n  question: {type: string, is_chat_input: true}\n"
    flow = load_flow(write(tmp_path, {"flow.flex.yaml": flex, "main.py": source}))
    talk = Conversation(flow)
    talk.add("hi", {"output": "hello"})
    assert talk.history == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


LACKING = {
    "message": ({"chat_history": HISTORY}, {"said": ANSWER}, "none of what must be one input that takes the message"),
    "answer": (
        {"q": QUESTION, "h": HISTORY},
        {"x": "${work.output}"},
        "none of what must be one output that is the answer",
    ),
    "history": ({"q": QUESTION}, {"said": ANSWER}, "none of what must be one input that takes the history"),
    "two": ({"q": QUESTION, "r": QUESTION, "h": HISTORY}, {"said": ANSWER}, "it has 2 (q, r) of what must be one"),
}


@pytest.mark.parametrize("case", LACKING)
def test_what_is_missing_is_named(project: Project, case: str) -> None:
    inputs, outputs, text = LACKING[case]
    flow = load_flow(graph(project, inputs, outputs))
    assert not is_chat(flow)
    with pytest.raises(FlowError) as told:
        chat_ports(flow)
    assert text in str(told.value)
    assert "flow.dag.yaml" in str(told.value)
