from promptflow.connections import SerpConnection
from promptflow.core import tool


@tool
def serp(service: SerpConnection) -> list:
    return [type(service).__name__, service.api_key.startswith("key-")]
