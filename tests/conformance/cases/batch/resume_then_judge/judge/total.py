from promptflow.core import tool, log_metric


@tool
def total(xs: list, ys: list, oks: list):
    log_metric("rows", len(oks))
    log_metric("mismatched", sum(2 * x != y for x, y in zip(xs, ys)))
