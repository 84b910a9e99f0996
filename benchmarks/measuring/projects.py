"""The project that benchmarks run: two trivial Python nodes, and one that asks a model."""

from __future__ import annotations

import json
from pathlib import Path

FILES = {
    "pilothouse.yaml": "SETTINGS\n",
    "connections/loopback.yaml": "type: open_ai\nbase_url: http://127.0.0.1:PORT/v1\n",
    "flows/trivial/flow.dag.yaml": """
inputs:
  text: {type: string}
outputs:
  words: {type: int, reference: "${count.output}"}
nodes:
  - name: fold
    type: python
    source: {type: code, path: fold.py}
    inputs: {text: "${inputs.text}"}
  - name: count
    type: python
    source: {type: code, path: count.py}
    inputs: {text: "${fold.output}"}
""",
    "flows/trivial/fold.py": """
from TOOL import tool


@tool
def fold(text: str) -> str:
    return text.lower()
""",
    "flows/trivial/count.py": """
from TOOL import tool


@tool
def count(text: str) -> int:
    return len(text.split())
""",
    "flows/ask/flow.dag.yaml": """
inputs:
  text: {type: string}
outputs:
  answer: {type: string, reference: "${ask.output}"}
nodes:
  - name: ask
    type: llm
    source: {type: code, path: ask.jinja2}
    connection: loopback
    api: chat
    inputs: {model: slow, text: "${inputs.text}"}
""",
    "flows/ask/ask.jinja2": "system:\nAnswer in one word.\nuser:\n{{text}}\n",
}


def project(folder: Path, rows: int, *, tool: str = "pilothouse", port: int = 0, settings: str = "{}") -> Path:
    """Write a project with its flows and its data.

    Args:
        folder: Where it goes.
        rows: How many rows its data has.
        tool: The module that the tools import their decorator from.
        port: That of the endpoint on this machine.
        settings: What its pilothouse.yaml says.
    """
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("TOOL", tool).replace("PORT", str(port)).replace("SETTINGS", settings))
    with (folder / "data.jsonl").open("w") as sink:
        for number in range(rows):
            sink.write(json.dumps({"text": f"Row {number}: the quick brown fox jumps over the lazy dog"}) + "\n")
    return folder
