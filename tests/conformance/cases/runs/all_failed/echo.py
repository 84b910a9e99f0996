from promptflow.core import tool


@tool
def echo(n: int):
    raise ValueError("no good")
