from promptflow.core import tool


@tool
def look() -> str:
    print("noise")
    return "t"
