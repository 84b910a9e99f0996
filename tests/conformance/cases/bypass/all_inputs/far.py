from promptflow.core import tool


@tool
def far(value):
    return f"{value}!"
