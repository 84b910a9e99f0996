from promptflow.core import log_metric, tool


@tool
def total(ns: list) -> int:
    log_metric("sum", sum(ns))
    return sum(ns)
