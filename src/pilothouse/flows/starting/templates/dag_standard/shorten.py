"""Keeps the first words of an answer."""

from pilothouse import tool


@tool
def shorten(text: str, words: int) -> str:
    return " ".join(text.split()[:words])
