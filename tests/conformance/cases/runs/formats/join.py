from promptflow.core import tool


@tool
def join(text: str, n: int):
    return f"{text}{n}"
