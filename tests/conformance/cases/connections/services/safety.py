from promptflow.connections import AzureContentSafetyConnection
from promptflow.core import tool


@tool
def safety(service: AzureContentSafetyConnection) -> list:
    return [type(service).__name__, service.endpoint, service.api_key.startswith("key-")]
