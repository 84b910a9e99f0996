from promptflow.core import tool


@tool
def say() -> str:
    return "from the flow"
