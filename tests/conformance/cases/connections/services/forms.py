from promptflow.connections import FormRecognizerConnection
from promptflow.core import tool


@tool
def forms(service: FormRecognizerConnection) -> list:
    return [type(service).__name__, service.endpoint, service.api_key.startswith("key-")]
