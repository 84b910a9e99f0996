from meeting import both
from promptflow.core import tool


@tool
def right() -> str:
    both.wait()
    return "right"
