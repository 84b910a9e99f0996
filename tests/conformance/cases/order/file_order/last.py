from promptflow.core import tool


@tool
def last(n: int):
    return n * 2
