def first() -> str:
    return "1"
