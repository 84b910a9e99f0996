from promptflow.core import tool


@tool
def a():
    return 1
