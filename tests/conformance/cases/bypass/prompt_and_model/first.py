from promptflow.core import tool


@tool
def first():
    return "first"
