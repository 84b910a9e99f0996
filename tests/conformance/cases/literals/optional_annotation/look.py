from typing import Optional

from promptflow.core import tool


@tool
def look(a: Optional[int], b: Optional[int] = None) -> list:
    return [a, b]
