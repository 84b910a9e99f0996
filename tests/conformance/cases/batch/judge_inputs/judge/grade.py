from promptflow.core import tool


@tool
def grade(x: int, y: int, mark: str) -> str:
    return f"{x} {y} {mark}"
