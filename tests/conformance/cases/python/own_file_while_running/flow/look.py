from promptflow.core import tool


@tool
def look() -> str:
    with open("own.txt") as file:
        return file.read().strip()
