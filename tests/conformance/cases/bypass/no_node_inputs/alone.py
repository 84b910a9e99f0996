from promptflow.core import tool


@tool
def alone(go):
    return str(go)
