"""What to use in place of prompt flow's modules and names that are not offered."""

from __future__ import annotations

from typing import Final

_RUN = "use promptflow.client.PFClient, or `pilothouse flow test` and `pilothouse run create`"
_READ = "read runs with PFClient().runs, or `pilothouse run show`"
_INNER = (
    "use the public names of promptflow.core, promptflow.client and promptflow.entities: this is prompt flow's inside"
)
_CLASS = "write a ToolProvider, or a plain @tool function"
_LOAD = "read a flow's file with pilothouse.load_flow, which checks it too"
_OWN_TRACES = "traces are kept by the project: `pilothouse trace list` and `pilothouse.TracingService`"
_ENDPOINT = "name a connection of the type serverless in an llm node, or endpoint_name: connection/<name>"
_COMMON = "write it in the tool itself: it has nothing to do with running flows"
_PROMPTY = "use promptflow.core.Prompty, or promptflow.tools.common for parts of prompts"
_CLOUD = (
    "this is prompt flow's client for Azure Machine Learning, which retires on 2027-04-20: run the flow here with "
    "promptflow.client.PFClient, and deploy what `pilothouse flow build` makes"
)

INSTEAD: Final = {
    "promptflow.VERSION": "read pilothouse.__version__",
    "promptflow.azure": _CLOUD,
    "promptflow.batch": _RUN,
    "promptflow.executor": _RUN,
    "promptflow.orchestrator": _RUN,
    "promptflow._orchestrator": _RUN,
    "promptflow.parallel": "run the flow over data with `pilothouse run create --concurrency N`",
    "promptflow.storage": "runs and answers are kept by the project: `pilothouse run show`",
    "promptflow.integrations": "run the flow as it is: `pilothouse run create`",
    "promptflow.evals": "use Pilothouse's evaluators in an experiment",
    "promptflow.rag": "call the index from a Python tool with a library of its own",
    "promptflow.contracts.tool": _LOAD,
    "promptflow.contracts.flow": _LOAD,
    "promptflow.contracts.run_info": _READ,
    "promptflow.contracts.run_mode": _READ,
    "promptflow.contracts.multimedia.Text": "pass text as str",
    "promptflow.connections.ConnectionProvider": "use PFClient().connections.get(name)",
    "promptflow.connections.BingConnection": "use CustomConnection, with the key among its secrets",
    "promptflow.tracing": _OWN_TRACES,
    "promptflow.tracing.contracts": _OWN_TRACES,
    "promptflow.core._connection": "use promptflow.connections",
    "promptflow.core._prompty_utils": _PROMPTY,
    "promptflow.core": _INNER,
    "promptflow._internal": _INNER,
    "promptflow._core": _INNER,
    "promptflow._core.tool.ToolInvoker": _CLASS,
    "promptflow._core.metric_logger": "call promptflow.core.log_metric in an aggregation node",
    "promptflow._core.connection_manager": "use PFClient().connections.get(name)",
    "promptflow._sdk": _INNER,
    "promptflow._sdk._errors": "catch promptflow.exceptions.UserErrorException, which all of them are",
    "promptflow._sdk._service": "nothing: there is no service to start",
    "promptflow._utils": _COMMON,
    "promptflow._constants": _COMMON,
    "promptflow._cli": "call the command: `pilothouse`, or `pf` with prompt flow's verbs",
    "promptflow._proxy": _INNER,
    "promptflow.tools": "name the built-in tool in the node, source: {type: package, tool: <id>}",
    "promptflow.tools.common": _COMMON,
    "promptflow.tools.common.Escaper": "llm and prompt nodes guard roles in inputs by themselves",
    "promptflow.tools.list": "list the tools with importlib.metadata.entry_points(group='package_tools')",
    "promptflow.tools.open_model_llm": _ENDPOINT,
    "promptflow.tools.azure_content_safety": "use analyze_text: it decides by thresholds and says what to do",
    "promptflow.tools.exception.to_openai_error_message": "take the text of the exception",
    "promptflow.tools.openai.Engine": "name the model as text",
}
"""By module or name; the longest beginning that fits counts."""
