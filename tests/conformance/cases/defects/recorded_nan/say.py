from promptflow.core import tool


@tool
def say(n: object) -> str:
    return f"got {n}"
