from promptflow.core import tool


@tool
def a() -> str:
    return "done"
