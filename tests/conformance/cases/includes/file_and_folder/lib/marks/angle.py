def angle(text: str) -> str:
    return f"<{text}>"
