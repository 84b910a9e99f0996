"""The flow is this function: its parameters are the inputs, what it returns are the outputs."""

from pilothouse.tracing.decorator import trace


@trace
def shortened(text: str, words: int) -> str:
    return " ".join(text.split()[:words])


def write(topic: str, words: int = 12) -> dict:
    return {"line": shortened(f"One line about {topic}.", words)}
