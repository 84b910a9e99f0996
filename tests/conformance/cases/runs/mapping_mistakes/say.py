from promptflow.core import tool


@tool
def say(a: str):
    return a
