import not_there_at_all
from promptflow.core import tool


@tool
def look() -> str:
    return not_there_at_all.NAME
