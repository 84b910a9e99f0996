from promptflow.core import tool


@tool
def make():
    return {"n": 1}
