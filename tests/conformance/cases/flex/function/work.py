def run(text: str, times: int = 1) -> dict:
    return {"words": len(text.split()) * times}
