"""Names of span attributes: OpenTelemetry's GenAI conventions (development, 2026) and our own.

Whoever makes a span takes its attribute names from here. What reads spans uses the columns of `normaliser.py`, never
these names: other libraries speak other dialects.
"""

from __future__ import annotations

import re
from typing import Final

# The call
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
"""Seconds from the request to the first chunk of a streamed answer."""
OUTPUT_TYPE: Final = "gen_ai.output.type"
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# Usage: input includes cached, output includes reasoning; a cost engine subtracts, it never adds
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

# What the call belongs to
CONVERSATION: Final = "gen_ai.conversation.id"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_NAME: Final = "gen_ai.agent.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
USER_ID: Final = "user.id"
SESSION_ID: Final = "session.id"

# Content: JSON text, recorded only where `tracing.capture_content` allows it
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"

# Ours
RUN: Final = "pilothouse.run.name"
EXPERIMENT: Final = "pilothouse.experiment.name"
FLOW: Final = "pilothouse.flow.name"
FLOW_VERSION: Final = "pilothouse.flow.version"
VARIANT: Final = "pilothouse.variant.name"
NODE: Final = "pilothouse.node.name"
NODE_KIND: Final = "pilothouse.node.kind"
LINE: Final = "pilothouse.line.id"
LINE_NUMBER: Final = "pilothouse.line.number"
"""0-based."""
EVALUATOR: Final = "pilothouse.evaluator.name"
RELEASE: Final = "pilothouse.release.name"
CACHE_HIT: Final = "pilothouse.cache.hit"
FUNCTION: Final = "pilothouse.function.name"
ARGUMENTS: Final = "pilothouse.function.arguments"
"""JSON object: parameter -> value."""
RESULT: Final = "pilothouse.function.result"
"""JSON value; the items of a generator as a list."""
ITEM_COUNT: Final = "pilothouse.function.item_count"
"""Items that a generator gave, recorded or not."""
CLOSED_EARLY: Final = "pilothouse.function.closed_early"
"""Set where a generator was closed before its end."""
WITHHELD: Final = "pilothouse.content.withheld"
"""Names of the attributes that `tracing.capture_content: false` kept out of the record."""
SHORTENED: Final = "pilothouse.content.shortened"
"""Names of the attributes that were cut because the record would have been too long."""

# Values of OPERATION
CHAT: Final = "chat"
TEXT_COMPLETION: Final = "text_completion"
EMBEDDINGS: Final = "embeddings"
RETRIEVAL: Final = "retrieval"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_AGENT: Final = "invoke_agent"
INVOKE_WORKFLOW: Final = "invoke_workflow"

CONTENT: Final = frozenset(
    {
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        SYSTEM_INSTRUCTIONS,
        TOOL_DEFINITIONS,
        TOOL_ARGUMENTS,
        TOOL_RESULT,
        RETRIEVAL_QUERY,
        RETRIEVAL_DOCUMENTS,
        ARGUMENTS,
        RESULT,
        # the same things in other dialects
        "gen_ai.prompt",
        "gen_ai.completion",
        "input.value",
        "output.value",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "llm.prompts",
        "llm.completions",
        "llm.prompt_template.variables",
        "embedding.text",
        "retrieval.documents",
    }
)
"""Attributes that hold what people and models wrote."""

NUMBERED_CONTENT: Final = re.compile(
    r"gen_ai\.(?:prompt|completion)\.\d|gen_ai\.prompt\.variable\.|(?:llm|gen_ai)\.request\.functions\."
    r"|llm\.(?:input_messages|output_messages|tools)\.|embedding\.embeddings\.|retrieval\.documents\.|reranker\."
    r"|(?:input|output)\.images\."
)
"""Beginnings of content attributes that some dialects number: ``llm.input_messages.0.message.content``."""

CONTENT_EVENTS: Final = frozenset(
    {
        "gen_ai.content.prompt",
        "gen_ai.content.completion",
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
        "gen_ai.client.inference.operation.details",
    }
)
"""Span events whose attributes are content."""
