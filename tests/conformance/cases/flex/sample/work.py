def run(name: str, data: dict, more: int) -> str:
    return f"{name}, {data}, {more}"
