from promptflow.core import tool


@tool
def look(text: str) -> str:
    raise KeyError("the shelf is empty")
