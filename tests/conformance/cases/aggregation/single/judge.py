from promptflow.core import log_metric, tool


@tool
def judge(values: list) -> None:
    log_metric("lines", len(values))
    log_metric("value", values[0])
