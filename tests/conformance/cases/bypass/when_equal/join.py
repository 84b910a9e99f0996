from promptflow.core import tool


@tool
def join(a, b):
    return f"{a} {b}"
