from promptflow.core import tool


@tool
def make():
    return {"in": {"a key": "one", "a-key": "two"}}
