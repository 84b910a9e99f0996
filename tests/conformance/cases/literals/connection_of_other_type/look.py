from promptflow.connections import AzureOpenAIConnection
from promptflow.core import tool


@tool
def look(model: AzureOpenAIConnection) -> str:
    return model.api_base
