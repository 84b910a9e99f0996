from promptflow.core import tool


@tool
def more(y: int) -> int:
    return y + 1
