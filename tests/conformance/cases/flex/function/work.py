def run(text: str, times: int = 1):
    return {"words": len(text.split()) * times}
