from promptflow.core import log_metric, tool


@tool
def check(xs: list, ys: list) -> None:
    log_metric("rows", len(xs))
    log_metric("mismatched", sum(x != y for x, y in zip(xs, ys, strict=True)))
