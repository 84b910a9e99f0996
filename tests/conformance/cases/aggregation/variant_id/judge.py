from promptflow.core import log_metric, tool


@tool
def judge(values: list) -> None:
    log_metric("plain", 1)
    log_metric("score", 2, variant_id="variant_0")
    log_metric("score", 3, variant_id="variant_1")
