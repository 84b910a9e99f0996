from promptflow.core import tool


@tool
def after(value):
    return f"got {value}"
