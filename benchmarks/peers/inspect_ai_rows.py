"""inspect_ai: one task, its mock model, its exact scorer, its log file; its tokenizer, which is fetched, is stubbed."""

import json
import sys
from pathlib import Path

import inspect_ai.model._model as model_module
import inspect_ai.model._tokens as tokens_module
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate


def count_text_tokens(text: str) -> int:
    """Count words: the tokenizer's table would be fetched from the network."""
    return len(text.split())


tokens_module.count_text_tokens = count_text_tokens
if hasattr(model_module, "count_text_tokens"):
    model_module.count_text_tokens = count_text_tokens

rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
logs = evaluate(
    Task(
        dataset=[Sample(input=row["question"], target=row["expected"]) for row in rows],
        solver=generate(),
        scorer=exact(),
    ),
    model=get_model(
        "mockllm/model", custom_outputs=lambda *_: ModelOutput.from_content(model="mockllm", content="yes")
    ),
    display="none",
    log_dir="logs",
    max_connections=64,
    max_samples=64,
)
found = logs[0]
assert found.status == "success", found.error
print(json.dumps({"rows": len(rows), "value": found.results.scores[0].metrics["mean"].value}))
