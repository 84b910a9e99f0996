from promptflow.core import tool


@tool
def look(number: int, fraction: float, flag: bool, text: str, many: list, mapping: dict, free: object, bare: str):
    return [number, fraction, flag, text, many, mapping, free, bare]
