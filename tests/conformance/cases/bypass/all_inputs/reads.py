from promptflow.core import tool


@tool
def reads(value, text: str):
    return f"{value} {text}"
