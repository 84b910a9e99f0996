"""pydantic-evals: a task function, one evaluator; kept in memory."""

import json
import sys
from pathlib import Path

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected


async def model(question: str) -> str:
    """Answer at once, always the same."""
    return "yes"


rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
dataset = Dataset(
    name="rows",
    cases=[
        Case(name=str(number), inputs=row["question"], expected_output=row["expected"])
        for number, row in enumerate(rows)
    ],
    evaluators=[EqualsExpected()],
)
found = dataset.evaluate_sync(model, max_concurrency=64, progress=False)
right = sum(all(item.value for item in case.assertions.values()) for case in found.cases)
print(json.dumps({"rows": len(found.cases), "value": right / len(rows)}))
