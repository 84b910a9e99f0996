from promptflow.core import tool


@tool
def first():
    return {"a": {"b": 1}}
