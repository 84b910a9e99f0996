from promptflow.core import tool


@tool
def deep(text: str):
    return f"deep {text}"
