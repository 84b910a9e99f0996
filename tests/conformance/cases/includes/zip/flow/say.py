from packed.words import WORD
from promptflow.core import tool


@tool
def say() -> str:
    return WORD
