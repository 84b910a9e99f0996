"""Model configurations, which classes of flex flows take in place of a connection: prompt flow's classes and fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from pilothouse.core.errors import ConnectionFault


class ModelConfiguration:
    """A model and the way to it."""


@dataclass
class AzureOpenAIModelConfiguration(ModelConfiguration):
    """A deployment of Azure OpenAI, reached by a connection's name or by address and key."""

    azure_deployment: str
    azure_endpoint: str | None = None
    api_version: str | None = None
    api_key: str | None = field(default=None, repr=False)
    connection: str | None = None

    def __post_init__(self) -> None:
        """Refuse both ways at once."""
        _one_way(self.connection, self.azure_endpoint, self.api_version, self.api_key)

    @classmethod
    def from_connection(cls, connection: Any, azure_deployment: str) -> Self:
        """Return the configuration of a deployment behind an Azure OpenAI connection."""
        return cls(
            azure_deployment=azure_deployment,
            azure_endpoint=connection.api_base,
            api_version=connection.api_version,
            api_key=connection.api_key,
        )


@dataclass
class OpenAIModelConfiguration(ModelConfiguration):
    """A model of OpenAI or of a server that speaks like it, reached by a connection's name or by address and key."""

    model: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    organization: str | None = None
    connection: str | None = None

    def __post_init__(self) -> None:
        """Refuse both ways at once."""
        _one_way(self.connection, self.base_url, self.api_key, self.organization)

    @classmethod
    def from_connection(cls, connection: Any, model: str) -> Self:
        """Return the configuration of a model behind an OpenAI connection."""
        return cls(
            model=model,
            base_url=connection.base_url,
            api_key=connection.api_key,
            organization=connection.organization,
        )


def _one_way(connection: str | None, *others: str | None) -> None:
    if connection and any(others):
        raise ConnectionFault(
            f"a model configuration names the connection '{connection}' and an address or key as well",
            fix="give one of the two",
        )


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
