from promptflow.core import tool


@tool
def say(which: str, text: str, mark: str) -> str:
    return f"{which} {text}-{mark}"
