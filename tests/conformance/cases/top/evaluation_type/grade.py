from promptflow.core import tool


@tool
def grade(truth: str, answer: str) -> str:
    return "right" if truth == answer else "wrong"
