def run(n: int):
    return 1 // (3 - n) if n >= 2 else 0
