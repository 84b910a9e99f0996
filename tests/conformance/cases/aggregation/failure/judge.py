from promptflow.core import log_metric, tool


@tool
def judge(values: list) -> None:
    log_metric("before", 1)
    raise ValueError("no good")
