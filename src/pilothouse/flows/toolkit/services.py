"""`promptflow.tools.serpapi` and `.azure_content_safety` as functions, for Python tools that call them."""

from __future__ import annotations

from typing import Any

from pilothouse.flows.function import blocking
from pilothouse.flows.nodes.tools.safety import analyze_text_async
from pilothouse.flows.nodes.tools.search import search_async
from pilothouse.flows.promptflow.connections import AzureContentSafetyConnection, SerpConnection


def search(connection: SerpConnection, query: str, **given: Any) -> Any:
    """Return the results of a search; takes and raises what the built-in tool does."""
    return blocking(lambda: search_async(connection, query, **given))


def analyze_text(connection: AzureContentSafetyConnection, text: str, **given: Any) -> dict[str, Any]:
    """Return what to do with a text; takes and raises what the built-in tool does."""
    return blocking(lambda: analyze_text_async(connection, text, **given))


class SerpAPI:
    """Searches on one connection."""

    def __init__(self, connection: SerpConnection) -> None:
        self.connection = connection

    def search(self, query: str, **given: Any) -> Any:
        """Return the results of a search."""
        return search(self.connection, query, **given)


class AzureContentSafety:
    """Judges texts on one connection."""

    def __init__(self, connection: AzureContentSafetyConnection) -> None:
        self.connection = connection

    def analyze_text(self, text: str, **given: Any) -> dict[str, Any]:
        """Return what to do with a text."""
        return analyze_text(self.connection, text, **given)
