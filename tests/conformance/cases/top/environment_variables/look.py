import os

from promptflow.core import tool


@tool
def look() -> dict:
    return {name: os.environ.get(name) for name in ("PLAIN", "NUMBER", "FLAG", "LIST", "MAP")}
