"""The answer without what a small model puts around it."""

from pilothouse import tool


@tool
def tidy(answer: str) -> str:
    lines = answer.strip().splitlines() or [""]
    return lines[0].removeprefix("Answer:").strip(' ".')
