from promptflow.core import tool


@tool
def twice(n: int):
    return n * 2
