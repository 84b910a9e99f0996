from promptflow.core import tool


@tool
def make():
    return {"a": {"b": "deep"}, "many": ["one", "two", {"x": {"y": "end"}}]}
