from promptflow.core import tool


@tool
def lower(text: str):
    return text.lower()
