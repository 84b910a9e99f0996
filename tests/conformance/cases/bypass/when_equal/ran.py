from promptflow.core import tool


@tool
def ran(which: str):
    return f"ran {which}"
