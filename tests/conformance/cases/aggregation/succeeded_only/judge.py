from promptflow.core import log_metric, tool


@tool
def judge(halves: list, ns: list) -> None:
    log_metric("lines", len(halves))
    log_metric("in_step", int(all(2 * half == n for half, n in zip(halves, ns, strict=True))))
