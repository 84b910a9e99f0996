from dataclasses import dataclass

from promptflow.core import tool


@dataclass
class Person:
    name: str
    age: int


@tool
def make() -> Person:
    return Person("Ada", 36)
