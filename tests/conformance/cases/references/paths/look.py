from promptflow.core import tool


@tool
def look(whole: dict, deep: str):
    return whole if deep == "deep" else {}
