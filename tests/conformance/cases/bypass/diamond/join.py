from promptflow.core import tool


@tool
def join(a: str = "", b: str = ""):
    return f"{a}{b}" or "none"
