"""Reads the label out of the model's answer."""

import re

from pilothouse import tool


@tool
def read_label(answer: str) -> str:
    """Return the first of the two labels that the answer names; an answer that names none is kept as unreadable."""
    found = re.search(r"\b(spam|ham)\b", answer.lower())
    return found.group(1) if found else "unreadable"
