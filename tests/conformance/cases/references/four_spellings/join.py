from promptflow.core import tool


@tool
def join(a, b, c, d):
    return f"{a} {b} {c} {d}"
