from promptflow.core import tool


@tool
def make():
    return {"name": "Ada"}
