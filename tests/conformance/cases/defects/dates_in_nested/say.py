from promptflow.core import tool


@tool
def say(created_at: object, timestamp: object) -> str:
    return f"{created_at} {type(created_at).__name__} {timestamp} {type(timestamp).__name__}"
