from promptflow.core import tool, log_metric


@tool
def total(xs: list, ys: list):
    log_metric("rows", len(ys))
    log_metric("mismatched", sum(2 * x != y for x, y in zip(xs, ys)))
