from promptflow.connections import AzureOpenAIConnection
from promptflow.core import tool


@tool
def look(model: AzureOpenAIConnection) -> list:
    return [model.api_type, model.api_version, model.api_base.startswith("http://")]
