from promptflow.core import tool


@tool
def look(a: str, text: str):
    return text
