from promptflow.connections import AzureAIServicesConnection
from promptflow.core import tool


@tool
def ai(service: AzureAIServicesConnection) -> list:
    return [type(service).__name__, service.endpoint, service.api_key.startswith("key-")]
