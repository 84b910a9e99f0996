from promptflow.core import tool


@tool
def look(a, b):
    return [a, b]
