from promptflow.core import tool


@tool
def first(n: int):
    return n + 1
