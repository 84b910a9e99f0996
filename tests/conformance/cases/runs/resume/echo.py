import os

from promptflow.core import tool


@tool
def echo(n: int) -> int:
    if n == 0 and "HEALED" not in os.environ:
        raise ValueError("not yet")
    return n
