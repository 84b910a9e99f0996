from promptflow._internal import ToolProvider
from promptflow.connections import AzureOpenAIConnection, CustomConnection
from promptflow.contracts.multimedia import Image
from promptflow.contracts.types import FilePath, PromptTemplate, Secret
from promptflow.core import log_metric, tool
from promptflow.tracing import start_trace, trace

KINDS = (ToolProvider, AzureOpenAIConnection, CustomConnection, Image, Secret, log_metric, start_trace)


@trace
def twice(text: str) -> str:
    return f"{text} {text}"


@tool
def use(text: str, path: FilePath, prompt: PromptTemplate) -> str:
    assert path == "use.py"
    assert prompt == "{{x}}"
    return twice(text)
