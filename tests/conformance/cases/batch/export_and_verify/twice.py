from pathlib import Path

from promptflow.core import tool


@tool
def twice(n: int) -> int:
    if n == 1 and not (Path(__file__).parent / "healed.txt").exists():
        raise ValueError("no answer for 1")
    return 2 * n
