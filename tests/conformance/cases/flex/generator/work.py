def run(text: str):
    for letter in text:
        yield letter + "-"
