from promptflow.core import tool


@tool
def judge(text: str):
    return {"urgent": text.startswith("urgent")}
