from pathlib import Path

from promptflow.core import tool


@tool
def look() -> list:
    return [Path(name).read_text().strip() for name in ("own.txt", "shared.txt")]
