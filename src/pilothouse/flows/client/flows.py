"""`PFClient.flows`: flows tried, checked, described, and written down."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack
from copy import copy
from pathlib import Path
from typing import Any, cast

import yaml
from msgspec import Struct
from msgspec.structs import replace

from pilothouse.core.errors import Conflict, DataError, FlowError, PilothouseError, UserError
from pilothouse.core.services import Services
from pilothouse.flows.client.errors import as_promptflow
from pilothouse.flows.client.prompties import Prompty
from pilothouse.flows.client.runs import client_flow
from pilothouse.flows.client.signatures import signature_of, written
from pilothouse.flows.flex.outputs import Attributes
from pilothouse.flows.function import FlowFunction, blocking, context_runner, failure, open_project
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.opening import INIT, with_overrides
from pilothouse.flows.promptflow.contexts import FlowContext
from pilothouse.flows.promptflow.faults import UserErrorException
from pilothouse.flows.results import ErrorInfo
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.types import Flow
from pilothouse.models.service import ModelService

_FLEX = "flow.flex.yaml"


class ValidationResult(Struct, frozen=True, kw_only=True):
    """What was found wrong with a flow."""

    errors: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was."""
        return not self.errors

    @property
    def error_messages(self) -> dict[str, str]:
        """What was found, by place in the list."""
        return {str(index): error for index, error in enumerate(self.errors)}


class FlowOperations:
    """Verbs on flows."""

    def test(
        self,
        flow: Any,
        *,
        inputs: Mapping[str, Any] | str | Path | None = None,
        variant: str | None = None,
        node: str | None = None,
        environment_variables: Mapping[str, Any] | None = None,
        init: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> Any:
        """Run a flow, or one node of it, on one input and return what it gives.

        Args:
            flow: Its path, ``module:function``, a function, class or instance, or what `load_flow` gave.
            inputs: By name, or a json or jsonl file (of which the first line counts).
            variant: ``${node.variant}``.
            node: Run this node alone; inputs are then named ``node.output`` or ``inputs.name``.
            environment_variables: Set for the flow's code.
            init: Arguments of the class of a flex flow.

        Returns:
            The outputs of a graph; the answer of a prompty; what a function or class returns where its annotation
            says that this is one value, else its outputs as a mapping with attributes; the output of a node.

        Raises:
            UserErrorException: when it cannot be opened, or fails.
        """
        with as_promptflow():
            path, live = client_flow(flow)
            tried = live or load_flow(path)
            context = copy(flow.context) if isinstance(flow, FlowFunction) else FlowContext()
            context.variant = variant or context.variant
            if init:
                tried = with_overrides(tried, {INIT: dict(init)})
            variables = {key: str(value) for key, value in (environment_variables or {}).items()}
            tried = replace(tried, environment_variables={**tried.environment_variables, **variables})
            return blocking(lambda: _tried(tried, context, _inputs(inputs), node))

    def validate(self, flow: str | Path, *, raise_error: bool = False, **_: Any) -> ValidationResult:
        """Return what is wrong with a flow's file; none of its code is run.

        Raises:
            UserErrorException: when something is, if ``raise_error``.
        """
        try:
            load_flow(flow)
        except PilothouseError as error:
            if raise_error:
                raise UserErrorException(str(error)) from error
            return ValidationResult(errors=(str(error),))
        return ValidationResult()

    def infer_signature(self, entry: Any, **_: Any) -> dict[str, Any]:
        """Return the inputs, outputs and init arguments of a function, a class or a flow, with their types.

        Raises:
            UserErrorException: when no flow can be made of it.
        """
        with as_promptflow():
            path, live = client_flow(entry)
            return signature_of(live or load_flow(path))

    def save(
        self,
        entry: Any,
        code: str | Path | None = None,
        path: str | Path | None = None,
        *,
        python_requirements_txt: str | None = None,
        image: str | None = None,
        signature: Mapping[str, Any] | None = None,
        sample: Mapping[str, Any] | str | Path | None = None,
        **_: Any,
    ) -> None:
        """Write the file of a flex flow for a function or class.

        Args:
            entry: A function or class of a module, or ``module:name`` with its ``code``.
            code: The folder of the module.
            path: An empty folder that the code is copied into; the folder of the code by default.
            python_requirements_txt: The file of the flow's requirements, in the folder.
            image: The image it is to be built on.
            signature: Descriptions, types and defaults over those of the code.
            sample: ``{"inputs": {...}, "init": {...}}``, or a json file of it.

        Raises:
            UserErrorException: when the entry stands in no file, or the folder is not empty.
        """
        with as_promptflow():
            folder, name = _home(entry, code)
            flow = _module_flow(folder, name)
            fields = written(flow, signature or {})
            environment = {"python_requirements_txt": python_requirements_txt, "image": image}
            surroundings: dict[str, Any] = {key: value for key, value in environment.items() if value is not None}
            if surroundings:
                fields["environment"] = surroundings
            if sample is not None:
                fields["sample"] = _inputs(sample)
            target = _target(folder, Path(path)) if path is not None else folder
            _write(target / _FLEX, {**fields, "entry": name})

    def build(self, flow: str | Path, *, output: str | Path | None = None, **_: Any) -> None:
        """Say how a flow is built: that is a command.

        Raises:
            UserErrorException: always, with the command to type.
        """
        target = f" --output {output}" if output is not None else ""
        raise UserErrorException(f"a flow is built by a command: pilothouse flow build {flow}{target}")


async def _tried(flow: Flow, context: FlowContext, inputs: dict[str, Any], node: str | None) -> Any:
    async with AsyncExitStack() as stack:
        services: Services = stack.enter_context(open_project(Path.cwd()))
        stack.push_async_callback(services.get(ModelService).aclose)
        runner = await stack.enter_async_context(context_runner(services, flow, context))
        if node is not None:
            result = await runner.run_node(node, inputs)
            _refuse(flow, result.error)
            return result.output
        return await _line(runner, flow, inputs)


async def _line(runner: FlowRunner, flow: Flow, inputs: dict[str, Any]) -> Any:
    line = await runner.run_line(inputs)
    _refuse(flow, line.error)
    if flow.has_aggregation:
        _refuse(flow, (await runner.aggregate([line])).error)
    if flow.kind == "dag":
        return dict(line.outputs)
    return Prompty(flow).given(line) if flow.prompty is not None else _returned(flow, line.outputs)


def _refuse(flow: Flow, error: ErrorInfo | None) -> None:
    if error is not None:
        raise failure(flow, error)


def _returned(flow: Flow, outputs: dict[str, Any]) -> Any:
    """Return what a function or class itself returned: one value, or outputs with attributes, as of a dataclass."""
    is_one = "output" in flow.outputs or inspect.isgeneratorfunction(flow.target)
    return outputs["output"] if is_one and set(outputs) == {"output"} else Attributes(outputs)


def _inputs(given: Mapping[str, Any] | str | Path | None) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    path = Path(given)
    if path.suffix not in {".json", ".jsonl"}:
        raise UserError("Only support jsonl or json file as input.", where=str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
        values: Any = json.loads(text if path.suffix == ".json" else text.strip().split("\n")[0])
    except (OSError, ValueError) as error:
        raise DataError(f"the inputs cannot be read: {error}", where=str(path)) from error
    if not isinstance(values, dict):
        raise DataError("the inputs are not a mapping", where=str(path), expected='{"name": value}')
    return cast("dict[str, Any]", values)


def _home(entry: Any, code: str | Path | None) -> tuple[Path, str]:
    """Return the folder of an entry's module, and ``module:name``."""
    if isinstance(entry, str):
        if code is None:
            raise UserError(f"the folder of '{entry}' is not given", expected="code=<folder>")
        return Path(code).resolve(), entry
    file = inspect.getsourcefile(entry) if inspect.isclass(entry) or inspect.isfunction(entry) else None
    if file is None or not Path(file).is_file():
        raise UserError(f"{entry!r} stands in no file", expected="a function or class of a module")
    return Path(file).resolve().parent, f"{Path(file).stem}:{entry.__name__}"


def _module_flow(folder: Path, entry: str) -> Flow:
    if ":" not in entry:
        raise FlowError(f"the entry '{entry}' does not name a function or class", expected="module:function")
    flow = client_flow(entry, folder)[1]
    assert flow is not None
    return flow


def _target(folder: Path, target: Path) -> Path:
    if target.exists() and any(target.iterdir()):
        raise Conflict(f"the folder {target} is not empty", fix="name another one")
    shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return target


def _write(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True), encoding="utf-8")
