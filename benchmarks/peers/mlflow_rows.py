"""mlflow.genai: a predict function, one scorer, a SQLite store in this folder."""

import json
import sys
from pathlib import Path

import mlflow
from mlflow.genai import evaluate, scorer


@scorer
def exact(outputs: str, expectations: dict) -> bool:
    """Tell whether the answer is the expected one."""
    return outputs == expectations["expected"]


def model(question: str) -> str:
    """Answer at once, always the same."""
    return "yes"


mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("rows")
rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
found = evaluate(
    data=[{"inputs": {"question": row["question"]}, "expectations": {"expected": row["expected"]}} for row in rows],
    predict_fn=model,
    scorers=[exact],
)
print(json.dumps({"rows": len(found.result_df), "value": found.metrics["exact/mean"]}))
