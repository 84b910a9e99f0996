def run(text: str):
    return len(text.split())
