from promptflow.core import tool


@tool
def say():
    return "second"
