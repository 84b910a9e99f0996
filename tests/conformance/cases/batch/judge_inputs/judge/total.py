from promptflow.core import tool, log_metric


@tool
def total(grades: list):
    log_metric("rows", len(grades))
