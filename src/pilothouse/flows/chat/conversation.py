"""A chat flow's ports, and one conversation with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.flows.types import Flow

HISTORY = "chat_history"
OUTPUT = "output"


class ChatPorts(Struct, frozen=True, kw_only=True):
    """Which inputs and outputs of a flow are the conversation.

    Attributes:
        question: The input that takes the user's message.
        history: The input that takes what was said before.
        answer: The output that is the answer.
        is_openai: Whether the history is a list of ``{"role", "content"}``, as flex flows and prompties have it in
            prompt flow; graphs have a list of ``{"inputs", "outputs"}``.
    """

    question: str
    history: str
    answer: str
    is_openai: bool


def chat_ports(flow: Flow) -> ChatPorts:
    """Return the ports of a chat flow.

    Raises:
        FlowError: for a flow that is none, naming what is missing.
    """
    questions = [item.name for item in flow.inputs.values() if item.is_chat_input]
    histories = [item.name for item in flow.inputs.values() if item.is_chat_history]
    answers = [item.name for item in flow.outputs.values() if item.is_chat_output]
    if not histories and HISTORY in flow.inputs:
        histories = [HISTORY]
    if not answers and flow.kind != "dag" and len(flow.outputs) <= 1:
        answers = list(flow.outputs) or [OUTPUT]
    for found, what, mark in (
        (questions, "input that takes the message", "is_chat_input: true"),
        (answers, "output that is the answer", "is_chat_output: true"),
        (histories, "input that takes the history", f"is_chat_history: true, or the name {HISTORY}"),
    ):
        if len(found) != 1:
            said = f"{len(found)} ({', '.join(found)})" if found else "none"
            raise FlowError(
                f"'{flow.name}' is not a chat flow: it has {said} of what must be one {what}",
                where=str(flow.path),
                expected=f"one with {mark}",
                fix="or run it with its inputs, without --interactive",
            )
    return ChatPorts(question=questions[0], history=histories[0], answer=answers[0], is_openai=flow.kind != "dag")


def is_chat(flow: Flow) -> bool:
    """Return whether a flow is a chat flow."""
    try:
        chat_ports(flow)
    except FlowError:
        return False
    return True


class Conversation:
    """What is said to a flow and what it answers, with the history that the flow is given.

    Args:
        flow: A chat flow.
        given: Values of its other inputs; a history among them is where the conversation begins.

    Raises:
        FlowError: when the flow is no chat flow.
    """

    def __init__(self, flow: Flow, given: Mapping[str, Any] | None = None) -> None:
        self.ports = chat_ports(flow)
        self._given = dict(given or {})
        begun: Any = self._given.pop(self.ports.history, None) or flow.inputs[self.ports.history].default or []
        self.history: list[dict[str, Any]] = list(begun)

    def inputs(self, message: str) -> dict[str, Any]:
        """Return the flow's inputs for the next message."""
        return {**self._given, self.ports.question: message, self.ports.history: list(self.history)}

    def add(self, message: str, outputs: Mapping[str, Any]) -> None:
        """Keep a message and what the flow answered."""
        if self.ports.is_openai:
            self.history += [
                {"role": "user", "content": message},
                {"role": "assistant", "content": self.answer(outputs)},
            ]
        else:
            self.history.append({"inputs": {self.ports.question: message}, "outputs": dict(outputs)})

    def answer(self, outputs: Mapping[str, Any]) -> Any:
        """Return the answer among the outputs; all of them where a flow gives others than it said."""
        return outputs[self.ports.answer] if self.ports.answer in outputs else dict(outputs)
