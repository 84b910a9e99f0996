"""The project that benchmarks of evaluation run: one call of a scripted model a row, one evaluator, one arm or two."""

from __future__ import annotations

import json
from pathlib import Path

FLOW = """
inputs:
  question: {type: string}
outputs:
  answer: {type: string, reference: "${ask.output}"}
nodes:
  - name: ask
    use_variants: true
node_variants:
  ask:
    default_variant_id: short
    variants:
"""

VARIANT = """
      NAME:
        node:
          type: llm
          source: {type: code, path: NAME.jinja2}
          connection: scripted
          api: chat
          inputs: {model: tiny, question: "${inputs.question}"}
"""

EXPERIMENT = """
name: ask
flow: flows/ask
data: data.jsonl
evaluators:
  - name: exact
    use: exact_match
    column_mapping: {prediction: "${run.outputs.answer}", truth: "${data.expected}"}
variants:
"""

ARMS = ("short", "polite")


def experiment(folder: Path, rows: int, *, arms: int = 1, filling: int = 0) -> Path:
    """Write a project with an experiment and its data.

    Args:
        folder: Where it goes.
        rows: How many rows its data has.
        arms: 1 or 2 variants of the prompt.
        filling: Bytes of text in a row; the model then repeats the question, otherwise it answers ``yes``.
    """
    files = {
        "pilothouse.yaml": "{}\n",
        "connections/scripted.yaml": "type: scripted\nmodel: tiny\n" + ("" if filling else "script: script.yaml\n"),
        "script.yaml": '- {reply: "yes"}\n',
        "flows/ask/flow.dag.yaml": FLOW + "".join(VARIANT.replace("NAME", name) for name in ARMS),
        "flows/ask/short.jinja2": "system:\nAnswer yes or no.\nuser:\n{{question}}\n",
        "flows/ask/polite.jinja2": "system:\nPlease answer yes or no.\nuser:\n{{question}}\n",
        "ask.yaml": EXPERIMENT + "".join(f"  {name}: {{ask: {name}}}\n" for name in ARMS[:arms]),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    data(folder / "data.jsonl", rows, filling)
    return folder


def data(path: Path, rows: int, filling: int = 0) -> Path:
    """Write questions whose expected answer is ``yes`` in three rows of four."""
    more = " the quick brown fox" * (filling // 20)
    with path.open("w") as sink:
        for number in range(rows):
            question = f"Row {number}: does the quick brown fox jump over the lazy dog?{more}"
            sink.write(json.dumps({"question": question, "expected": "yes" if number % 4 else "no"}) + "\n")
    return path
