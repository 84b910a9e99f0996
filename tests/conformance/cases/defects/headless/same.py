from promptflow.core import tool


@tool
def same(n: int) -> int:
    return n
