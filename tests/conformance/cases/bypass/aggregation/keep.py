from promptflow.core import tool


@tool
def keep(n: int):
    return n
