import os

from promptflow.core import tool


@tool
def look() -> str:
    return os.environ["CHOICE"]
