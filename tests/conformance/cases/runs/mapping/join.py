from promptflow.core import tool


@tool
def join(a: str, b: str, c: str):
    return f"{a} {b} {c}"
