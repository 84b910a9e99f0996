from promptflow.connections import CognitiveSearchConnection
from promptflow.core import tool


@tool
def search(service: CognitiveSearchConnection) -> list:
    return [type(service).__name__, service.api_base, service.api_key.startswith("key-")]
