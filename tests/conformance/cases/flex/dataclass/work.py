from dataclasses import dataclass


@dataclass
class Found:
    words: int
    first: str


def run(text: str) -> Found:
    parts = text.split()
    return Found(words=len(parts), first=parts[0])
