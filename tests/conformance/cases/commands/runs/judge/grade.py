from promptflow.core import tool


@tool
def grade(answer: int, truth: int) -> bool:
    return answer == truth
