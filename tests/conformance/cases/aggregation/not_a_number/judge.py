from promptflow.core import log_metric, tool


@tool
def judge(values: list) -> None:
    log_metric("verdict", "good")
