def run(text: str) -> dict[str, int]:
    return {"words": len(text.split())}
