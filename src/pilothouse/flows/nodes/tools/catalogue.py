"""Which tools of prompt flow's own package are built in, by id, and what to do about the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final

from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.flows.nodes.python import python_work
from pilothouse.flows.nodes.tools.models import open_embedding, open_endpoint, open_model, open_vision
from pilothouse.flows.nodes.work import NodeContext, Work
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.types import Node

Opener = Callable[[Node, NodeContext], Work]

_PREFIX: Final = "promptflow.tools."
_SAFETY: Final = "azure_content_safety.analyze_text"
_INDEX: Final = (
    "looking an index up is not part of this release; until it is, search from a Python tool with the index's own "
    "library (azure-search-documents, faiss, ...), with the same inputs and a list of {text, metadata, score}"
)
_SERVICE: Final = "call the service from a Python tool with its own library, and a custom connection for its key"
_LATER: Final = {
    "promptflow_vectordb.tool.": _INDEX,
    "promptflow_vectordb_tool.": _INDEX,
    "embeddingstore.tool.": _INDEX,
    "promptflow.tools.azure_translator": _SERVICE,
    "promptflow.tools.azure_detect": _SERVICE,
    "promptflow.tools.azure_form_recognizer": _SERVICE,
    "promptflow.tools.bing": _SERVICE,
    "promptflow.tools.wikipedia": _SERVICE,
    "promptflow.tools.azure_language": _SERVICE,
    "azure_ai_language.": _SERVICE,
    "language.tools.": _SERVICE,
    "promptflow_contrib.": _SERVICE,
    "promptflow.contrib.": _SERVICE,
}


def cure(identifier: str) -> str | None:
    """Return what to do about a tool of prompt flow that is not built in; None for any other id."""
    return next((text for beginning, text in _LATER.items() if identifier.startswith(beginning)), None)


class Function(Struct, frozen=True):
    """A tool that is a function of ours: where it stands, and the input that it cannot do without."""

    home: str
    required: str

    def load(self) -> Callable[..., Any]:
        """Import it; what it needs to reach its service comes with it."""
        module, _, name = self.home.partition(":")
        return getattr(import_module(module), name)


def _function(function: Function, node: Node, context: NodeContext) -> Work:
    """Open a tool that is a function of ours."""
    required = function.required
    for name in ("connection", required):
        if name not in node.inputs and not (name == "connection" and node.connection):
            raise FlowError(
                f"node '{node.name}' gives no '{name}'", where=node.where, expected=f"inputs: {{{name}: ...}}"
            )
    name = function.home.partition(":")[2]
    return python_work(node, context, function.load(), identity=["built in", name])


_SEARCH: Final = Function("pilothouse.flows.nodes.tools.search:search_async", "query")
_ANALYZE: Final = Function("pilothouse.flows.nodes.tools.safety:analyze_text_async", "text")
FUNCTIONS: Final[dict[str, Function]] = {
    f"{_PREFIX}serpapi.SerpAPI.search": _SEARCH,
    f"{_PREFIX}serpapi.search": _SEARCH,
    f"{_PREFIX}{_SAFETY}": _ANALYZE,
    f"{_PREFIX}azure_content_safety.AzureContentSafety.analyze_text": _ANALYZE,
    "content_safety_text.tools.content_safety_text_tool.analyze_text": _ANALYZE,
}
"""Built-in tools that are functions, by id."""


def _template(node: Node, context: NodeContext) -> Work:
    """Open the tool that renders a template which stands among its inputs."""
    sandbox = context.settings.sandbox

    def render(template: str, **variables: object) -> str:
        return Template(template, context.flow.path, sandbox=sandbox).render(variables)

    return python_work(node, context, render, identity=["built in", "render", sandbox])


BUILT_IN: Final[dict[str, Opener]] = {
    **{
        f"{_PREFIX}{identifier}": opener
        for identifier, opener in {
            "aoai.chat": open_model,
            "aoai.completion": open_model,
            "openai.chat": open_model,
            "openai.completion": open_model,
            "aoai.AzureOpenAI.chat": open_model,
            "aoai.AzureOpenAI.completion": open_model,
            "openai.OpenAI.chat": open_model,
            "openai.OpenAI.completion": open_model,
            "aoai_gpt4v.AzureOpenAI.chat": open_vision,
            "openai_gpt4v.OpenAI.chat": open_vision,
            "llm.llm": open_model,
            "llm_vision.llm_vision": open_vision,
            "open_model_llm.OpenModelLLM.call": open_endpoint,
            "open_source_llm.OpenSourceLLM.call": open_endpoint,
            "embedding.embedding": open_embedding,
            "template_rendering.render_template_jinja2": _template,
        }.items()
    },
    **{identifier: partial(_function, function) for identifier, function in FUNCTIONS.items()},
}
"""What opens each built-in tool, by its id; ids of earlier releases too."""
