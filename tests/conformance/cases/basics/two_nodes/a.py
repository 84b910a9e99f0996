from promptflow.core import tool


@tool
def a(n: int):
    return n + 1
