from promptflow.core import tool


@tool
def wrap(value: object) -> dict:
    return {"value": value if isinstance(value, int) else str(value)}
