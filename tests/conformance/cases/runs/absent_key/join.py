from promptflow.core import tool


@tool
def join(text: str, level: str):
    return f"{text} {level}"
