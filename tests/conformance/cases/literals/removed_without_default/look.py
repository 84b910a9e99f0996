from promptflow.core import tool


@tool
def look(text: str):
    return text
