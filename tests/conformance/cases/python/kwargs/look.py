from promptflow.core import tool


@tool
def look(**kwargs):
    return dict(sorted(kwargs.items()))
