from loud import loud
from marks.angle import angle
from promptflow.core import tool


@tool
def mark(text: str) -> str:
    return angle(loud(text))
