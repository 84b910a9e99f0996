from promptflow.core import tool


@tool
def even(n: int):
    return n % 2 == 0
