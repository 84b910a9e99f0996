from promptflow.core import tool


@tool
def first() -> str:
    return "1"


@tool
def second() -> str:
    return "2"
