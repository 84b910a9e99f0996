from promptflow.core import tool


@tool
def both(a, b):
    return f"{a} {b}"
