"""From the attributes of several dialects to one set of columns.

The table ``COLUMNS`` says, for each canonical column, under which attribute names the dialects carry it, the present
conventions first; the store turns it into SQL. Raw attributes stay as they came, so a new version of the table is
applied to old spans too: raise ``VERSION`` with every change.

Dialects: OpenTelemetry GenAI in development (2026), the same up to 1.36, OpenInference, OpenLLMetry (Traceloop).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

from pilothouse.tracing import conventions as names

VERSION: Final = 1

Kind = Literal["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"]


class Column(Struct, frozen=True):
    """A canonical column.

    Attributes:
        name: Its name, also the field of `types.Span`.
        kind: Its type; a value that does not convert is left out.
        aliases: Attribute names, the first one present wins; ``[0]`` at the end takes the first of a list.
        values: Old values -> present ones, compared in lower case; others pass unchanged.
        lower: Whether values are put in lower case.
    """

    name: str
    kind: Kind
    aliases: tuple[str, ...]
    values: dict[str, str] = field(default_factory=dict)
    lower: bool = False


_OPERATIONS: Final = {
    "llm": names.CHAT,
    "completion": names.TEXT_COMPLETION,
    "embedding": names.EMBEDDINGS,
    "retriever": names.RETRIEVAL,
    "reranker": "rerank",
    "tool": names.EXECUTE_TOOL,
    "agent": names.INVOKE_AGENT,
    "chain": names.INVOKE_WORKFLOW,
    "workflow": names.INVOKE_WORKFLOW,
}

_PROVIDERS: Final = {
    "az.ai.openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}

COLUMNS: Final[tuple[Column, ...]] = (
    Column(
        "operation",
        "VARCHAR",
        (names.OPERATION, "llm.request.type", "openinference.span.kind", "traceloop.span.kind"),
        _OPERATIONS,
        lower=True,
    ),
    Column(
        "provider", "VARCHAR", (names.PROVIDER, "gen_ai.system", "llm.provider", "llm.system"), _PROVIDERS, lower=True
    ),
    Column(
        "request_model",
        "VARCHAR",
        (
            names.REQUEST_MODEL,
            "llm.request.model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
    ),
    Column("response_model", "VARCHAR", (names.RESPONSE_MODEL, "llm.response.model_name")),
    Column(
        "finish_reason",
        "VARCHAR",
        (
            f"{names.FINISH_REASONS}[0]",
            names.FINISH_REASONS,
            "gen_ai.completion.0.finish_reason",
            "llm.finish_reason",
            "llm.response.finish_reason",
            "llm.response.stop_reason",
        ),
    ),
    Column("time_to_first_chunk", "DOUBLE", (names.TIME_TO_FIRST_CHUNK, "gen_ai.server.time_to_first_token")),
    Column("input_tokens", "BIGINT", (names.INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")),
    Column(
        "output_tokens",
        "BIGINT",
        (names.OUTPUT_TOKENS, "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    ),
    Column(
        "cached_input_tokens",
        "BIGINT",
        (
            names.CACHED_INPUT_TOKENS,
            "gen_ai.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
        ),
    ),
    Column(
        "cache_write_tokens",
        "BIGINT",
        (
            names.CACHE_WRITE_TOKENS,
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "llm.token_count.prompt_details.cache_write",
        ),
    ),
    Column(
        "reasoning_tokens",
        "BIGINT",
        (names.REASONING_TOKENS, "gen_ai.usage.reasoning_tokens", "llm.token_count.completion_details.reasoning"),
    ),
    Column(
        "conversation",
        "VARCHAR",
        (names.CONVERSATION, names.SESSION_ID, "traceloop.association.properties.session_id"),
    ),
    Column(
        "user",
        "VARCHAR",
        (names.USER_ID, "enduser.id", "llm.user", "traceloop.association.properties.user_id"),
    ),
    Column("agent", "VARCHAR", (names.AGENT_NAME, "agent.name")),
    Column("tool", "VARCHAR", (names.TOOL_NAME, "tool.name")),
    Column("prompt", "VARCHAR", (names.PROMPT_NAME, "prompt.id", "traceloop.prompt.key")),
    Column(
        "prompt_version",
        "VARCHAR",
        (names.PROMPT_VERSION, "llm.prompt_template.version", "traceloop.prompt.version"),
    ),
    Column("run", "VARCHAR", (names.RUN,)),
    Column("experiment", "VARCHAR", (names.EXPERIMENT,)),
    Column("flow", "VARCHAR", (names.FLOW, names.WORKFLOW_NAME, "traceloop.workflow.name")),
    Column("variant", "VARCHAR", (names.VARIANT,)),
    Column("node", "VARCHAR", (names.NODE, "graph.node.id", "traceloop.entity.name")),
    Column("line", "VARCHAR", (names.LINE,)),
    Column("release", "VARCHAR", (names.RELEASE,)),
    Column("cache_hit", "BOOLEAN", (names.CACHE_HIT,)),
    Column("error_type", "VARCHAR", (names.ERROR_TYPE,)),
)

_INPUTS: Final = (
    names.INPUT_MESSAGES,
    names.ARGUMENTS,
    names.TOOL_ARGUMENTS,
    names.RETRIEVAL_QUERY,
    "gen_ai.prompt",
    "input.value",
    "traceloop.entity.input",
)
_OUTPUTS: Final = (
    names.OUTPUT_MESSAGES,
    names.RESULT,
    names.TOOL_RESULT,
    names.RETRIEVAL_DOCUMENTS,
    "gen_ai.completion",
    "output.value",
    "traceloop.entity.output",
)
_NUMBERED_INPUTS: Final = ("gen_ai.prompt.", "llm.input_messages.")
_NUMBERED_OUTPUTS: Final = ("gen_ai.completion.", "llm.output_messages.", "retrieval.documents.")
_INPUT_EVENTS: Final = (
    "gen_ai.system.message",
    "gen_ai.user.message",
    "gen_ai.assistant.message",
    "gen_ai.tool.message",
    "gen_ai.content.prompt",
)
_OUTPUT_EVENTS: Final = ("gen_ai.choice", "gen_ai.content.completion")


def column_sql(attributes: str) -> tuple[list[str], str]:
    """Return SQL that reads every column out of a JSON object.

    Args:
        attributes: The SQL expression of the JSON object.

    Returns:
        The expressions of ``COLUMNS`` in their order, over a list ``v`` of texts; and the expression of that list,
        which reads the JSON once for all of them.
    """
    places: dict[str, int] = {}
    expressions: list[str] = []
    for column in COLUMNS:
        found = [f"v[{places.setdefault(_path(alias), len(places) + 1)}]" for alias in column.aliases]
        texts = [f"NULLIF(NULLIF({text}, ''), '[]')" for text in found]  # nothing said, in two ways
        expressions.append(_expression(column, f"COALESCE({', '.join(texts)})" if len(texts) > 1 else texts[0]))
    paths = ", ".join(_quoted(path) for path in places)
    return expressions, f"json_extract_string({attributes}, [{paths}])"


def content(attributes: Mapping[str, Any], events: Iterable[Mapping[str, Any]] = ()) -> tuple[Any, Any]:
    """Return what went into the operation and what came out, in whatever dialect they were recorded.

    JSON text comes back as the value it holds; messages that a dialect numbers come back as a list of objects; None
    where nothing was recorded.
    """
    told = list(events)
    return (
        _first(attributes, _INPUTS, _NUMBERED_INPUTS) or _told(told, _INPUT_EVENTS),
        _first(attributes, _OUTPUTS, _NUMBERED_OUTPUTS) or _told(told, _OUTPUT_EVENTS),
    )


def _path(alias: str) -> str:
    name, first, _ = alias.partition("[0]")
    return f'$."{name}"{first}'


def _expression(column: Column, text: str) -> str:
    if column.kind != "VARCHAR":
        return f"TRY_CAST({text} AS {column.kind})"
    if column.lower:
        text = f"lower({text})"
    if not column.values:
        return text
    cases = " ".join(f"WHEN {_quoted(old)} THEN {_quoted(new)}" for old, new in column.values.items())
    return f"CASE {text} {cases} ELSE {text} END"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first(attributes: Mapping[str, Any], whole: Sequence[str], numbered: Sequence[str]) -> Any:
    for name in whole:
        if attributes.get(name) not in (None, ""):
            return _parsed(attributes[name])
    for prefix in numbered:
        found = _gathered(attributes, prefix)
        if found:
            return found
    return None


def _gathered(attributes: Mapping[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return the objects behind ``<prefix><number>.<name>``, in order of their numbers."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.(?:message\.|document\.)?(.+)")
    items: dict[int, dict[str, Any]] = {}
    for key, value in attributes.items():
        match = pattern.fullmatch(key)
        if match is not None:
            items.setdefault(int(match[1]), {})[match[2]] = value
    return [items[number] for number in sorted(items)]


def _told(events: list[Mapping[str, Any]], wanted: Sequence[str]) -> Any:
    return [{"event": event["name"], **event["attributes"]} for event in events if event["name"] in wanted] or None


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("[", "{", '"'):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value
