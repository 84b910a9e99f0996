from promptflow.core import tool


@tool
def maybe():
    return "value"
