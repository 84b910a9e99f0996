from promptflow.core import tool


@tool
def look(value):
    return {"value": value, "type": type(value).__name__}
