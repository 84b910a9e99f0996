from promptflow.core import tool


@tool()
def b(text: str) -> str:
    return text + "2"
