from meeting import both
from promptflow.core import tool


@tool
def left() -> str:
    both.wait()
    return "left"
