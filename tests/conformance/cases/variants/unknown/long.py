from promptflow.core import tool


@tool
def long(text: str, more: str):
    return f"{text}+{more}"
