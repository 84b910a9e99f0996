from promptflow.core import tool


@tool
def loud(text: str):
    return text.upper()
