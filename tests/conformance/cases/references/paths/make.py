from promptflow.core import tool


@tool
def make():
    return {"a": {"b": "deep"}, "a key": "spaced", "many": ["one", "two", {"x": {"y": "end"}}]}
