from promptflow.core import tool


@tool
def twice(n: int) -> int:
    return 2 * n
