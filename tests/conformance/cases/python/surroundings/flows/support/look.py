from pathlib import Path

from neighbour import NAME
from promptflow.core import tool

TEXT = Path("words.txt").read_text().strip()


@tool
def look() -> list:
    return [NAME, TEXT, __name__ == "__main__"]
