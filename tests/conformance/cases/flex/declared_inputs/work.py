def run(a, b) -> str:
    return f"{a + 0} {b}"
