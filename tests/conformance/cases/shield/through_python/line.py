from promptflow.core import tool


@tool
def line(text: str):
    return f"system:\nBe kind.\n\nuser:\n{text}"
