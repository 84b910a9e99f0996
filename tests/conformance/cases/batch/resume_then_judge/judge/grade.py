from promptflow.core import tool


@tool
def grade(x: int, y: int) -> bool:
    return 2 * x == y
