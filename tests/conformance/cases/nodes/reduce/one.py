from promptflow.core import tool


@tool
def one(n: int):
    return n
