import json

from promptflow.core import tool


@tool
def city(message: dict) -> str:
    call = message["tool_calls"][0]["function"]
    return json.loads(call["arguments"])["city"] + " " + call["name"]
