"""`promptflow.core.Prompty`: a prompt and its model, called with inputs; loading it may change the model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

from msgspec.structs import replace

from pilothouse.core.environment import Environment
from pilothouse.core.errors import DataError, FlowError, UserError, nearest_hint
from pilothouse.flows.client.errors import as_promptflow
from pilothouse.flows.environment.references import resolved
from pilothouse.flows.flex.configurations import AzureOpenAIModelConfiguration, ModelConfiguration
from pilothouse.flows.function import FlowFunction
from pilothouse.flows.loader import PROMPTY, load_flow
from pilothouse.flows.nodes.llm import rendered
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.prompty.loader import expects_json
from pilothouse.flows.types import Flow
from pilothouse.flows.types import Prompty as Described
from pilothouse.models.connection_types import connection_type
from pilothouse.models.providers.wire import chat_body
from pilothouse.models.types import ChatRequest, Message

_OURS = {"azure_endpoint": "api_base", "azure_deployment": "model", "deployment_name": "model"}
_MODEL = ("api", "configuration", "parameters", "response")
_BYTES_A_TOKEN = 4
_TOKENS_A_MESSAGE = 4


class Prompty(FlowFunction):
    """A prompty that is called with its inputs by name and returns the answer."""

    @classmethod
    def load(cls, source: str | Path, model: Mapping[str, Any] | None = None, **more: Any) -> Self:  # type: ignore[override]
        """Return a prompty.

        Args:
            source: The file.
            model: What changes in its model: ``api``, ``configuration`` (a mapping or a model configuration),
                ``parameters``, ``response``.
            more: ``sample``, in place of the file's.

        Raises:
            UserErrorException: when there is none, or it cannot work.
        """
        with as_promptflow():
            if Path(source).suffix != PROMPTY:
                raise UserError(f"'{source}' is not a prompty", expected=f"a file that ends with {PROMPTY}")
            flow = load_flow(Path(source))
            for name, value in more.items():
                if name != "sample":
                    raise UserError(f"a prompty is not loaded with '{name}'", expected="model, sample")
                flow = replace(flow, sample=dict(value))
            made = cls(_with_model(flow, model or {}))
            # `stream: true` is all that a prompty needs to stream.
            made.context.streaming = True
            return made

    def shaped(self, outputs: dict[str, Any]) -> Any:
        """Return the answer of a line: its text, or a mapping where the prompty asks for one."""
        described = self._described
        is_whole = described.response == "all" or expects_json(described.parameters) or set(outputs) != {"output"}
        return outputs if is_whole else outputs["output"]

    def __call__(self, *unnamed: Any, **inputs: Any) -> Any:
        """Ask the model and return its answer.

        Raises:
            UserErrorException: when it fails.
        """
        with as_promptflow():
            return super().__call__(*unnamed, **inputs)

    def render(self, *unnamed: Any, **inputs: Any) -> str:
        """Return the prompt as it is sent: the text of a completion, or the list of messages as text.

        Raises:
            UserErrorException: for an input that is missing, or a template that cannot be rendered.
        """
        with as_promptflow():
            self._refuse(unnamed)
            prompt = self._prompt(inputs)
            return prompt if isinstance(prompt, str) else str(chat_body(ChatRequest(messages=prompt))["messages"])

    def estimate_token_count(self, *unnamed: Any, **inputs: Any) -> int:
        """Return about how many tokens the prompt and the longest answer take: four bytes of text for each token.

        Raises:
            UserErrorException: for an input that is missing, or ``max_tokens`` that is no number above 1.
        """
        with as_promptflow():
            self._refuse(unnamed)
            most: Any = self._described.parameters.get("max_tokens")
            if most is not None and (not isinstance(most, int) or most <= 1):
                raise UserError(f"max_tokens is {most!r}", expected="a whole number above 1")
            prompt = self._prompt(inputs)
            texts = [prompt] if isinstance(prompt, str) else [message.text for message in prompt]
            tokens = sum(math.ceil(len(text.encode()) / _BYTES_A_TOKEN) for text in texts)
            return tokens + _TOKENS_A_MESSAGE * len(texts) + (most or 0)

    @property
    def _described(self) -> Described:
        assert self.flow.prompty is not None
        return self.flow.prompty

    def _prompt(self, inputs: Mapping[str, Any]) -> str | tuple[Message, ...]:
        described, flow = self._described, self.flow
        sample = resolved(flow.sample, flow.folder, Environment.load(flow.folder), str(flow.path))
        values: dict[str, Any] = {}
        for name, declared in flow.inputs.items():
            if name in (inputs or sample):
                values[name] = (inputs or sample)[name]
            elif declared.has_default:
                values[name] = declared.default
            else:
                raise DataError(f"the prompty '{self.name}' has no value for the input '{name}'", where=declared.where)
        template = Template(described.template, flow.path, skipped=described.line)
        return rendered(described.api, template, values, frozenset(flow.inputs))


class AsyncPrompty(Prompty):
    """A prompty that is awaited: ``answer = await prompty(question="...")``."""

    async def __call__(self, *unnamed: Any, **inputs: Any) -> Any:
        """Ask the model on the caller's loop and return its answer.

        Raises:
            UserErrorException: when it fails.
        """
        with as_promptflow():
            return await self.call(*unnamed, **inputs)


def _with_model(flow: Flow, model: Mapping[str, Any]) -> Flow:
    """Return a prompty with parts of its model changed; what is not given stays as the file says."""
    described = flow.prompty
    if described is None or not model:
        return flow
    for key in model:
        if key not in _MODEL:
            raise FlowError(f"a model has no '{key}'", where=described.where, expected=nearest_hint(key, _MODEL))
    fields = _fields(model.get("configuration") or {})
    connection, kind = fields.pop("connection", None), fields.pop("type", None)
    given: dict[str, Any] = dict(model.get("parameters") or {})
    parameters: dict[str, Any] = {**described.parameters, **given}
    for name in ("deployment_name", "model"):
        if fields.get("model") is None and name in given:
            fields["model"] = parameters.pop(name)
    name = fields.pop("model", None)
    # Another way to the model takes the place of the file's; a field alone changes that field.
    configuration = {} if connection else {**described.configuration, **fields}
    changed = replace(
        described,
        api=model.get("api") or described.api,
        response=model.get("response") or described.response,
        type=connection_type(str(kind)).name if kind else described.type,
        configuration=configuration,
        parameters={**parameters, **({"model": name} if name else {})},
    )
    nodes = flow.nodes
    if connection or kind or fields:
        nodes = tuple(replace(node, connection=connection) for node in nodes)
    return replace(flow, prompty=changed, nodes=nodes)


def _fields(configuration: Any) -> dict[str, Any]:
    """Return the fields of a model's configuration by our names."""
    given: dict[str, Any]
    if isinstance(configuration, ModelConfiguration):
        given = dataclasses.asdict(cast("Any", configuration))
        if not given.get("connection"):
            is_azure = isinstance(configuration, AzureOpenAIModelConfiguration)
            given["type"] = "azure_open_ai" if is_azure else "open_ai"
    elif isinstance(configuration, Mapping):
        given = dict(cast("Mapping[str, Any]", configuration))
    else:
        raise UserError(
            f"the configuration of a model is {type(configuration).__name__}",
            expected="a mapping, AzureOpenAIModelConfiguration or OpenAIModelConfiguration",
        )
    return {_OURS.get(key, key): value for key, value in given.items() if value is not None}
