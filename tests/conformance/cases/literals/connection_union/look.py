from typing import Union

from promptflow.connections import AzureOpenAIConnection, OpenAIConnection
from promptflow.core import tool


@tool
def look(model: Union[AzureOpenAIConnection, OpenAIConnection]) -> str:
    return type(model).__name__
