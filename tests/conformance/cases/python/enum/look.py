from enum import Enum

from promptflow.core import tool


class Level(str, Enum):
    LOW = "low"
    HIGH = "high"


@tool
def look(level: Level) -> str:
    return level.value if isinstance(level, Level) else level
