from promptflow.core import tool


@tool
def look(many: int):
    return many
