from promptflow.core import tool


@tool
def echo(x):
    return x
