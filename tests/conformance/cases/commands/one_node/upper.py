from promptflow.core import tool


@tool
def upper(text: str):
    return text.upper()
