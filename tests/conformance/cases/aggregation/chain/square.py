from promptflow.core import log_metric, tool


@tool
def square(total: int) -> None:
    log_metric("squared", total**2)
