from promptflow.core import tool


@tool
def look(a, b, c):
    return [str(a), str(b), str(c)]
