from promptflow.connections import OpenAIConnection
from promptflow.core import tool


@tool
def look(model: OpenAIConnection) -> dict:
    return {
        "key": model.api_key.startswith("sk-"),
        "base": model.base_url.endswith("/v1"),
        "name": type(model).__name__,
    }
