"""Model configurations: what the classes of flex flows take in place of a connection."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class AzureOpenAIModelConfiguration:
    """A model of Azure OpenAI, with the fields of prompt flow's class of the same name."""

    azure_deployment: str
    azure_endpoint: str | None = None
    api_version: str | None = None
    api_key: str | None = field(default=None, repr=False)
    connection: str | None = None


@dataclass
class OpenAIModelConfiguration:
    """A model of OpenAI or a server that speaks its language, with the fields of prompt flow's class."""

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    organization: str | None = None
    connection: str | None = None


CONFIGURATIONS: dict[str, type] = {
    "AzureOpenAIModelConfiguration": AzureOpenAIModelConfiguration,
    "OpenAIModelConfiguration": OpenAIModelConfiguration,
}
"""By name: annotations and YAML name them so."""

FROM_CONNECTION: dict[str, dict[str, str]] = {
    "AzureOpenAIModelConfiguration": {
        "azure_endpoint": "api_base",
        "api_version": "api_version",
        "api_key": "api_key",
    },
    "OpenAIModelConfiguration": {"base_url": "base_url", "api_key": "api_key", "organization": "organization"},
}
"""Field of a configuration -> field of the connection that it names."""
