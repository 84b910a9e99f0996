from promptflow.core import tool


@tool
def say(text: str, n: object) -> str:
    return f"{text} {n} {type(n).__name__}"
