from promptflow.core import tool


@tool
def x():
    return "x"
