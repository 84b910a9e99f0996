from promptflow.core import tool


@tool
def short(text: str):
    return text[:4]
