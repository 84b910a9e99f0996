"""The entry of a flex flow made ready to run: imported, made of its init arguments, once."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.environment.references import resolved
from pilothouse.flows.flex.annotations import read_annotation
from pilothouse.flows.flex.configurations import CONFIGURATIONS, FROM_CONNECTION
from pilothouse.flows.flex.live import is_function
from pilothouse.flows.flex.outputs import Attributes, giving_outputs, streams
from pilothouse.flows.flex.signature import AGGREGATE, module_file
from pilothouse.flows.nodes.connections import IDENTITY, as_annotated, connection_types, find_connection
from pilothouse.flows.nodes.faults import user_code_error
from pilothouse.flows.nodes.literals import CONVERTERS
from pilothouse.flows.nodes.modules import FlowModules
from pilothouse.flows.nodes.python import python_work
from pilothouse.flows.nodes.work import NodeContext, Work
from pilothouse.flows.recording import log_metric, sink
from pilothouse.flows.types import InitParameter, LiteralValue
from pilothouse.models.secret import Secret

Arguments = dict[str, Any]

_KEY = "api_key"


def open_flex(context: NodeContext, modules: FlowModules) -> dict[str, Work]:
    """Return the work of the entry and of its aggregation; a class is made once for both.

    Raises:
        FlowError: when an init argument is missing, unknown or not of its type.
        UserCodeError: when importing the module or making the class fails.
        ConnectionFault: when a connection is missing or incomplete.
    """
    flow = context.flow
    name = flow.nodes[0].name
    entry = flow.target if flow.target is not None else _imported(context, modules)
    arguments: Arguments = {}
    if inspect.isclass(entry):
        arguments = init_arguments(entry, context)
        try:
            entry = cast("Callable[..., Any]", entry)(**arguments)
        except Exception as error:
            raise user_code_error(error, f"'{name}' cannot be made", flow.nodes[0].where) from error
    identity = ["flex", flow.entry, context.code or flow.digest, _printed(arguments)]
    works: dict[str, Work] = {}
    for node in flow.nodes:
        if node.aggregation:
            function = _aggregating(getattr(entry, AGGREGATE))
            works[node.name] = python_work(node, context, function, identity=[*identity, node.name])
        else:
            # An instance is looked at through its method: only that says whether it is async or a generator.
            called = entry if is_function(entry) else entry.__call__
            work = python_work(node, context, giving_outputs(called), identity=[*identity, node.name])
            works[node.name] = replace(work, streams=streams(called))
    return works


def _imported(context: NodeContext, modules: FlowModules) -> Any:
    """Return the function or class that the flow's entry names."""
    flow = context.flow
    module_name, _, name = (flow.entry or "").partition(":")
    path = module_file(context.folder, (), module_name)
    if path is None:
        raise FlowError(f"the module '{module_name}' is gone", where=str(flow.path))
    entry: Any = getattr(modules.load(path.resolve()), name, None)
    if not callable(entry):
        raise FlowError(f"importing '{path.name}' does not define '{name}'", where=flow.nodes[0].where)
    return entry


def _aggregating(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``__aggregate__`` as a node: it is given lines with attributes, and what it returns are metrics."""
    if inspect.iscoroutinefunction(method):

        async def aggregate_async(**lines: list[Any]) -> Any:
            return _logged(await method(**_attributed(lines)))

        return aggregate_async

    def aggregate(**lines: list[Any]) -> Any:
        return _logged(method(**_attributed(lines)))

    return aggregate


def _attributed(lines: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {
        name: [Attributes(cast("Arguments", line)) if isinstance(line, dict) else line for line in given]
        for name, given in lines.items()
    }


def _logged(returned: Any) -> Any:
    current = sink.get()
    if not isinstance(returned, dict):
        if current is not None and returned is not None:
            _note(current, f"{AGGREGATE} returned a {type(returned).__name__}: only a mapping becomes metrics")
        return returned
    for key, value in cast("dict[Any, Any]", returned).items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            _note(current, f"the metric '{key}' is not a number but {type(value).__name__} and is not kept")
            continue
        log_metric(str(key), number)
    return cast("dict[Any, Any]", returned)


def _note(target: object, text: str) -> None:
    notes: list[str] | None = getattr(target, "notes", None)
    if notes is not None:
        notes.append(text)


# Init arguments


def init_arguments(owner: type, context: NodeContext) -> Arguments:
    """Return what the class is made with: names of connections and mappings of model settings become objects.

    Raises:
        FlowError: for an argument that is missing or not of its type.
        ConnectionFault: for a connection that is missing or incomplete.
    """
    flow = context.flow
    hints = _hints(owner)
    arguments: Arguments = {}
    for name, value in {**flow.init_values, **flow.init_sample}.items():
        known = resolved(value.value, context.folder, context.environment, value.where)
        parameter = flow.init.get(name, InitParameter(name=name))
        arguments[name] = _argument(parameter, LiteralValue(value=known, where=value.where), hints.get(name), context)
    missing = [item for item in flow.init.values() if not item.has_default and item.name not in arguments]
    if missing:
        raise FlowError(
            f"'{owner.__name__}' is made with '{missing[0].name}', which nothing gives",
            where=missing[0].where,
            expected=f"init.{missing[0].name}.default or sample.init.{missing[0].name} in the flow's file",
            fix=f"or give it for one run: connections: {{init: {{{missing[0].name}: ...}}}}",
        )
    return arguments


def _hints(owner: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(owner.__init__)
    except Exception:  # noqa: BLE001 - annotations are the user's expressions; those that fail are read as text
        return {}


def _argument(parameter: InitParameter, value: LiteralValue, hint: Any, context: NodeContext) -> Any:
    if parameter.type in CONFIGURATIONS:
        return _configuration(parameter, value, hint, context)
    types = connection_types(hint if hint is not None else parameter.type)
    if types is None:
        types = connection_types(parameter.type)
    hidden: Any = getattr(value.value, "secrets", None)
    if isinstance(hidden, Mapping):
        # A connection object of prompt flow's kind, made by the caller.
        for secret in cast("Mapping[str, Any]", hidden).values():
            _hide_key(secret, context)
    elif types is not None and isinstance(value.value, str):
        found = find_connection(value.value, types, context.models, value.where)
        context.secrets.extend(found.secrets.values())
        return as_annotated(found, hint, value.where)
    return _converted(parameter, value)


def _converted(parameter: InitParameter, value: LiteralValue) -> Any:
    said = read_annotation(parameter.type)
    convert = CONVERTERS.get(said.type) if said.conversion != "none" else None
    if convert is None or value.value is None:
        return value.value
    try:
        return convert(value.value)
    except (ValueError, TypeError, OverflowError) as error:
        raise FlowError(
            f"'{parameter.name}' is {value.value!r}, which is not of the type {parameter.type}",
            where=value.where,
            expected=f"a value of the type {parameter.type}",
        ) from error


def _configuration(parameter: InitParameter, value: LiteralValue, hint: Any, context: NodeContext) -> Any:
    options = typing.get_args(hint) or (hint,)
    made = next((item for item in options if inspect.isclass(item) and item.__name__ == parameter.type), None)
    kind: type = made or CONFIGURATIONS[parameter.type]
    if value.value is None or isinstance(value.value, kind):
        _hide_key(getattr(value.value, _KEY, None), context)
        return value.value
    if not isinstance(value.value, dict):
        raise FlowError(
            f"'{parameter.name}' is {type(value.value).__name__}, but a {parameter.type} is made of a mapping",
            where=value.where,
            expected=", ".join(inspect.signature(CONFIGURATIONS[parameter.type]).parameters),
        )
    fields = dict(cast("dict[str, Any]", value.value))
    known = inspect.signature(kind).parameters
    for key in fields:
        if key not in known:
            raise FlowError(f"a {parameter.type} has no '{key}'", where=value.where, expected=nearest_hint(key, known))
    if fields.get("connection"):
        fields |= _from_connection(parameter, str(fields.pop("connection")), value.where, context)
    _hide_key(fields.get(_KEY), context)
    try:
        return kind(**fields)
    except TypeError as error:
        raise FlowError(f"no {parameter.type} can be made of this: {error}", where=value.where) from error


def _hide_key(key: Any, context: NodeContext) -> None:
    if isinstance(key, str) and key:
        context.secrets.append(Secret(key))


def _from_connection(parameter: InitParameter, name: str, where: str, context: NodeContext) -> Arguments:
    kind = "azure_open_ai" if parameter.type.startswith("Azure") else "open_ai"
    connection = find_connection(name, frozenset({kind}), context.models, where)
    fields = FROM_CONNECTION[parameter.type]
    return {field: connection.get(key) or None for field, key in fields.items()}


def _printed(arguments: Arguments) -> str:
    """Return the digest of init arguments; connections have an identity and configurations a print without keys."""
    return digest({name: getattr(value, IDENTITY, None) or repr(value) for name, value in sorted(arguments.items())})
