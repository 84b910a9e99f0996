from promptflow.core import log_metric, tool


@tool
def one(n: int) -> int:
    log_metric("lost", n)
    return n
