"""Which of prompt flow's names are offered, module by module: what stands behind each is imported when it is used."""

from __future__ import annotations

from typing import Final

from pilothouse.core.errors import nearest_hint
from pilothouse.flows.promptflow.refusals import INSTEAD

ROOT: Final = "promptflow"
RELEASE: Final = "1.18.5"
"""The release of prompt flow whose names these are: what ``promptflow.__version__`` says."""

_OURS = "pilothouse.flows.promptflow"
_CLIENT = "pilothouse.flows.client"
_KIT = "pilothouse.flows.toolkit"


def _all(home: str, *names: str) -> dict[str, str]:
    return {name: f"{home}:{name}" for name in names}


_TOOLS = _all(f"{_OURS}.tools", "tool", "ToolProvider")
_METRICS = _all("pilothouse.flows.recording", "log_metric")
_FLOW_METRICS = {"log_flow_metric": _METRICS["log_metric"]}
_CONNECTIONS = _all(
    f"{_OURS}.connections",
    *("AzureAIServicesConnection", "AzureContentSafetyConnection", "AzureOpenAIConnection"),
    *("CognitiveSearchConnection", "CustomConnection", "CustomStrongTypeConnection", "FormRecognizerConnection"),
    *("OpenAIConnection", "QdrantConnection", "SerpConnection", "ServerlessConnection", "WeaviateConnection"),
)
_VALUES = _all(f"{_OURS}.values", "AssistantDefinition", "AttrDict", "FilePath", "PromptTemplate", "Secret")
_TRACING = {
    **_all("pilothouse.tracing.decorator", "trace"),
    **_all(f"{_OURS}.spans", "start_trace", "ThreadPoolExecutorWithContext"),
}
_CONFIGURATIONS = _all(
    "pilothouse.flows.flex.configurations",
    *("AzureOpenAIModelConfiguration", "ModelConfiguration", "OpenAIModelConfiguration"),
)
_SETTINGS = _all(f"{_OURS}.tools", "DynamicList", "InputSetting")
_FAULTS = _all(
    f"{_OURS}.faults",
    *("ErrorCategory", "ErrorTarget", "PromptflowException", "SystemErrorException", "UserErrorException"),
    "ValidationException",
)
_CLIENT_FAULTS = _all(
    f"{_OURS}.faults",
    *("ConnectionNotFoundError", "InvalidRunStatusError", "RunExistsError", "RunNotFoundError"),
    "RunOperationParameterError",
)
_TOOL_FAULTS = _all(
    f"{_OURS}.faults",
    *("AzureContentSafetyInputValueError", "AzureContentSafetySystemError", "ChatAPIFunctionRoleInvalidFormat"),
    *("ChatAPIInvalidFunctions", "ChatAPIInvalidRole", "ChatAPIInvalidTools", "ChatAPIToolRoleInvalidFormat"),
    *("ExceedMaxRetryTimes", "FunctionCallNotSupportedInStreamMode", "InvalidConnectionType", "JinjaTemplateError"),
    *("LLMError", "OpenModelLLMKeyValidationError", "OpenModelLLMOnlineEndpointError", "OpenModelLLMUserError"),
    *("SerpAPISystemError", "SerpAPIUserError", "ToolValidationError", "WrappedOpenAIError"),
)
_CONTEXT = _all(f"{_OURS}.contexts", "FlowContext")
_FLOWS = {
    **_all(f"{_CLIENT}.functions", "AsyncFlow", "Flow"),
    **_all(f"{_CLIENT}.prompties", "AsyncPrompty", "Prompty"),
}
_LOAD = {
    "load_flow": f"{_CLIENT}.functions:load_client_flow",
    **_all(f"{_CLIENT}.entities", "load_run"),
}
_PF_CLIENT = _all(f"{_CLIENT}.client", "PFClient")
_RUN = _all(f"{_CLIENT}.entities", "Run")
_REGISTER: dict[str, str] = dict.fromkeys(
    ("register_apis", "register_builtins", "register_connections"), f"{_OURS}.tools:register"
)
_CACHE = _all(f"{_OURS}.tools", "enable_cache")
_IMAGES = _all("pilothouse.flows.prompts.images", "Image")
_ESCAPED = _all(f"{_KIT}.prompts", "INPUTS_TO_ESCAPE_PARAM_KEY")
_PROMPT_RESULT = {"PromptResult": "pilothouse.flows.prompts.shield:PromptText"}
_PROMPTS = {
    **_PROMPT_RESULT,
    **_ESCAPED,
    **_all(
        f"{_KIT}.prompts",
        *("ChatInputList", "VALID_ROLES", "build_messages", "convert_to_chat_list", "parse_chat"),
        *("preprocess_template_string", "process_function_call", "process_tool_choice", "render_jinja_template"),
        *("to_bool", "validate_functions", "validate_tools"),
    ),
    **_all(
        f"{_KIT}.clients",
        *("generate_retry_interval", "handle_openai_error", "init_azure_openai_client", "init_openai_client"),
        "normalize_connection_config",
    ),
}
_MODELS = f"{_KIT}.models"

SURFACE: Final[dict[str, dict[str, str]]] = {
    ROOT: {**_TOOLS, **_METRICS, **_FLOW_METRICS, **_LOAD, **_PF_CLIENT},
    "promptflow.core": {**_TOOLS, **_METRICS, **_FLOW_METRICS, **_CONFIGURATIONS, **_FLOWS},
    "promptflow.core._flow": _FLOWS,
    "promptflow.connections": {**_CONNECTIONS, "Secret": _VALUES["Secret"]},
    "promptflow.contracts": {},
    "promptflow.contracts.types": _VALUES,
    "promptflow.contracts.multimedia": {**_IMAGES, "PFBytes": _IMAGES["Image"]},
    "promptflow.tracing": _TRACING,
    "promptflow.tracing._trace": {"trace": _TRACING["trace"]},
    "promptflow.client": {**_LOAD, **_PF_CLIENT},
    "promptflow.operations": {
        **_all(f"{_CLIENT}.connections", "ConnectionOperations"),
        **_all(f"{_CLIENT}.flows", "FlowOperations"),
        **_all(f"{_CLIENT}.runs", "RunOperations"),
    },
    "promptflow.entities": {**_CONNECTIONS, **_SETTINGS, **_RUN, **_CONTEXT},
    "promptflow.exceptions": _FAULTS,
    "promptflow._internal": {
        **_TOOLS,
        **_METRICS,
        **_REGISTER,
        **_CACHE,
        "AttrDict": _VALUES["AttrDict"],
    },
    "promptflow._sdk": {},
    "promptflow._sdk.entities": {
        **_CONNECTIONS,
        **_RUN,
        **_CONTEXT,
        **_all(f"{_CLIENT}.flows", "ValidationResult"),
    },
    "promptflow._sdk._pf_client": _PF_CLIENT,
    "promptflow._sdk._load_functions": _LOAD,
    "promptflow._sdk._errors": _CLIENT_FAULTS,
    "promptflow._sdk._constants": _all(f"{_OURS}.values", "ListViewType", "RunStatus"),
    "promptflow._core": {},
    "promptflow._core.tool": {**_TOOLS, **_SETTINGS, **_ESCAPED},
    "promptflow._core.metric_logger": _METRICS,
    "promptflow._core.cache_manager": _CACHE,
    "promptflow._core.tools_manager": _REGISTER,
    "promptflow.tools": {},
    "promptflow.tools.aoai": _all(_MODELS, "AzureOpenAI", "chat", "completion"),
    "promptflow.tools.openai": _all(_MODELS, "OpenAI", "chat", "completion"),
    "promptflow.tools.aoai_gpt4v": _all(_MODELS, "AzureOpenAI"),
    "promptflow.tools.openai_gpt4v": _all(_MODELS, "OpenAI"),
    "promptflow.tools.embedding": _all(_MODELS, "EmbeddingModel", "embedding"),
    "promptflow.tools.llm": _all(_MODELS, "llm"),
    "promptflow.tools.llm_vision": _all(_MODELS, "llm_vision"),
    "promptflow.tools.common": _PROMPTS,
    "promptflow.tools.exception": _TOOL_FAULTS,
    "promptflow.tools.template_rendering": {**_all(f"{_KIT}.prompts", "render_template_jinja2"), **_ESCAPED},
    "promptflow.tools.serpapi": {
        **_all(f"{_KIT}.services", "SerpAPI", "search"),
        **_all("pilothouse.flows.nodes.tools.search", "Engine", "SafeMode"),
    },
    "promptflow.tools.azure_content_safety": {
        **_all(f"{_KIT}.services", "AzureContentSafety", "analyze_text"),
        **_all("pilothouse.flows.nodes.tools.safety", "TextCategorySensitivity"),
    },
}
"""Module -> name in it -> ``module:name`` of what stands behind it, imported when it is first used."""


def absent(name: str) -> str:
    """Return what to tell who imports a module or name (``promptflow.batch.BatchEngine``) that is not offered."""
    parts = name.split(".")
    # The nearest module that there is, what is in it and the modules below it.
    length = next(length for length in range(len(parts) - 1, 0, -1) if ".".join(parts[:length]) in SURFACE)
    module = ".".join(parts[:length])
    below = [other.removeprefix(f"{module}.") for other in SURFACE if other.startswith(f"{module}.")]
    hint = nearest_hint(parts[length], [*SURFACE[module], *(other for other in below if "." not in other)])
    said = f"'{name}' is not part of what Pilothouse offers of prompt flow"
    for beginning in range(len(parts), 1, -1):
        instead = INSTEAD.get(".".join(parts[:beginning]))
        if instead is not None:
            is_near = hint.startswith("did you mean") and length == len(parts) - 1
            return f"{said}; instead, {instead}" + (f" ({hint})" if is_near else "")
    return f"{said}; {hint}"
