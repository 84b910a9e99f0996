from promptflow.core import log_metric, tool


@tool
def sums(grades: list, given: list) -> None:
    log_metric("accuracy", sum(grades) / len(grades))
    log_metric("given", sum(given))
