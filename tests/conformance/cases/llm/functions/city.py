import json

from promptflow.core import tool


@tool
def city(message: dict) -> str:
    call = message["function_call"]
    return json.loads(call["arguments"])["city"] + " " + call["name"]
