from promptflow.core import tool


@tool
def middle(n: int):
    return n * 10
