def loud(text: str) -> str:
    return text.upper()
