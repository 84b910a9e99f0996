from promptflow.core import tool


@tool
def fast():
    return "fast"
