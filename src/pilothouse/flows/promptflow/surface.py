"""Which of prompt flow's names are offered, module by module, and what to use in place of the others."""

from __future__ import annotations

from typing import Final

from pilothouse.core.errors import nearest_hint

ROOT: Final = "promptflow"

_OURS = "pilothouse.flows.promptflow"
_TOOLS = {
    "tool": f"{_OURS}.tools:tool",
    "ToolProvider": f"{_OURS}.tools:ToolProvider",
}
_METRICS = {"log_metric": "pilothouse.flows.recording:log_metric"}
_CONNECTIONS = {
    name: f"{_OURS}.connections:{name}"
    for name in (
        "AzureAIServicesConnection",
        "AzureContentSafetyConnection",
        "AzureOpenAIConnection",
        "CognitiveSearchConnection",
        "CustomConnection",
        "CustomStrongTypeConnection",
        "FormRecognizerConnection",
        "OpenAIConnection",
        "QdrantConnection",
        "SerpConnection",
        "ServerlessConnection",
        "WeaviateConnection",
    )
}
_VALUES = {
    name: f"{_OURS}.values:{name}"
    for name in ("AssistantDefinition", "AttrDict", "FilePath", "PromptTemplate", "Secret")
}
_TRACING = {
    "trace": "pilothouse.tracing.decorator:trace",
    "start_trace": f"{_OURS}.spans:start_trace",
    "ThreadPoolExecutorWithContext": f"{_OURS}.spans:ThreadPoolExecutorWithContext",
}
_CONFIGURATIONS = {
    name: f"pilothouse.flows.flex.configurations:{name}"
    for name in ("AzureOpenAIModelConfiguration", "ModelConfiguration", "OpenAIModelConfiguration")
}
_SETTINGS = {name: f"{_OURS}.tools:{name}" for name in ("DynamicList", "InputSetting")}
_FAULTS = {
    name: f"{_OURS}.faults:{name}"
    for name in (
        "ErrorTarget",
        "PromptflowException",
        "SystemErrorException",
        "UserErrorException",
        "ValidationException",
    )
}
_LOAD = {"load_flow": "pilothouse.flows.function:load_function"}

SURFACE: Final[dict[str, dict[str, str]]] = {
    ROOT: {**_TOOLS, **_METRICS, **_LOAD},
    "promptflow.core": {
        **_TOOLS,
        **_METRICS,
        **_CONFIGURATIONS,
        "log_flow_metric": _METRICS["log_metric"],
        "Flow": "pilothouse.flows.function:FlowFunction",
    },
    "promptflow.connections": {**_CONNECTIONS, "Secret": _VALUES["Secret"]},
    "promptflow.contracts": {},
    "promptflow.contracts.types": _VALUES,
    "promptflow.contracts.multimedia": {"Image": "pilothouse.flows.prompts.images:Image"},
    "promptflow.tracing": _TRACING,
    "promptflow.client": _LOAD,
    "promptflow.entities": {**_CONNECTIONS, **_SETTINGS},
    "promptflow.exceptions": _FAULTS,
    "promptflow._internal": {**_TOOLS, **_METRICS},
    "promptflow._sdk": {},
    "promptflow._sdk.entities": _CONNECTIONS,
    "promptflow._core": {},
    "promptflow._core.tool": {**_TOOLS, **_SETTINGS},
    "promptflow._core.metric_logger": _METRICS,
}
"""Module -> name in it -> ``module:name`` of what stands behind it, imported when it is first used."""

_IN_PYTHON = "or `pilothouse.RunService` in Python"
_RUN = f"run flows with `pilothouse flow test` and `pilothouse run create`, {_IN_PYTHON}"
_READ = f"read runs with `pilothouse run show`, {_IN_PYTHON}"
_PROMPT = "make the prompt an llm node of the flow"

_INSTEAD: Final = {
    "promptflow.PFClient": _RUN,
    "promptflow.load_run": _READ,
    "promptflow._sdk": _RUN,
    "promptflow.azure": _RUN,
    "promptflow.batch": _RUN,
    "promptflow.client.PFClient": _RUN,
    "promptflow.client.load_run": _READ,
    "promptflow.core.AsyncFlow": "use promptflow.core.Flow: it runs its async nodes side by side anyway",
    "promptflow.core.AsyncPrompty": _PROMPT,
    "promptflow.core.Prompty": _PROMPT,
    "promptflow.entities.FlowContext": "give `--variant` to `pilothouse run create`",
    "promptflow.entities.Run": _READ,
    "promptflow.evals": "use Pilothouse's evaluators in an experiment",
    "promptflow.executor": _RUN,
    "promptflow.rag": "call the index from a Python tool with a library of its own",
    "promptflow.tools": "name the built-in tool in the node, source: {type: package, tool: <id>}",
}
"""What to use in place of modules and names that are not offered; the longest beginning that fits counts."""


def absent(name: str) -> str:
    """Return what to tell who imports a module or name (``promptflow.core.Prompty``) that is not offered."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        instead = _INSTEAD.get(".".join(parts[:length]))
        if instead is not None:
            return f"'{name}' is not part of what Pilothouse offers of prompt flow; instead, {instead}"
    # The nearest module that there is, what is in it and the modules below it.
    length = next(length for length in range(len(parts) - 1, 0, -1) if ".".join(parts[:length]) in SURFACE)
    module = ".".join(parts[:length])
    below = [other.removeprefix(f"{module}.") for other in SURFACE if other.startswith(f"{module}.")]
    hint = nearest_hint(parts[length], [*SURFACE[module], *(other for other in below if "." not in other)])
    return f"'{name}' is not part of what Pilothouse offers of prompt flow; {hint}"
