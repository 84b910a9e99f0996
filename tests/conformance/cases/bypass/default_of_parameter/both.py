from promptflow.core import tool


@tool
def both(b: str, a: str = "fallback"):
    return f"{a} {b}"
