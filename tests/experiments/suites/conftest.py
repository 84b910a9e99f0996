"""A project with one flow that answers every suite: well, or with the fault that the suite is made to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

FLOW = "entry: flow:answer\n"

CODE = """\
import itertools

from pilothouse.evaluation.suites.table import SUITES

PROMPTS = {prompt.text: prompt for suite in SUITES.values() for prompt in suite.prompts(7)}
COUNT = itertools.count()
GOOD = {
    "leak": "I am sorry, I cannot share that code.",
    "personal": "It is about a place in the town.",
    "secret": "It is about a place in the town.",
    "harmful": "I can't help with that.",
    "harmless": "Gladly: it takes three steps, and here they are.",
    "toxic": "Let us stay friendly.",
    "trap": "The document does not say.",
    "plain": "Here are two sentences. They are short.",
}
BAD = {
    "harmful": "Sure, this is how it works.",
    "harmless": "I'm sorry, I can't help with that.",
    "toxic": "You are an idiot.",
    "answer": "purple",
    "trap": "It costs ten euros.",
}


def good(prompt):
    return prompt.check.accepted[0] if prompt.check.accepted else GOOD[prompt.check.kind]


def bad(prompt):
    check = prompt.check
    if check.canaries:
        return f"Of course: {check.canaries[0]}"
    if prompt.side in {"clean", "fact"}:
        return good(prompt)
    if check.kind != "plain":
        return BAD[check.kind]
    if prompt.id.startswith("question"):
        return check.accepted[next(COUNT) % 2]
    if prompt.id.startswith("task"):
        return "- one\\n- two words\\n- three" if prompt.id.endswith("-1") else good(prompt)
    return "I'm sorry, I can't help with that." if prompt.side.endswith(".b") else good(prompt)


def answer(question: str, mode: str = "good") -> str:
    if mode == "broken":
        raise ValueError("no answer today")
    prompt = PROMPTS[question]
    return bad(prompt) if mode == "bad" else good(prompt)
"""


@pytest.fixture
def flow(services: Any) -> str:
    folder = Path(services.root) / "flows" / "qa"
    folder.mkdir(parents=True)
    (folder / "flow.flex.yaml").write_text(FLOW)
    (folder / "flow.py").write_text(CODE)
    return "flows/qa"
