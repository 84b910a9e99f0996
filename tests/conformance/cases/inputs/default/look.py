from promptflow.core import tool


@tool
def look(n, flag, text, many, zero):
    return [n, flag, text, many, zero]
