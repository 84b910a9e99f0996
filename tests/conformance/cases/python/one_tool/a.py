from promptflow import tool


@tool
def a(text: str) -> str:
    return text + "1"
