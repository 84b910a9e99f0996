from promptflow.core import tool


@tool
def second():
    return "second"
