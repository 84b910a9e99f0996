def run(text: str) -> int:
    return len(text.split())
