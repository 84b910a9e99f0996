from promptflow.core import tool


@tool
def say(n: int, deep: list) -> str:
    return f"{n} {deep}"
