from promptflow.core import tool


@tool
def total(a: int, b: int):
    return a + b
