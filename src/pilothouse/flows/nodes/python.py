"""Python nodes: the tool of a file or an installed package, with its literals in their types."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import CoroutineType
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import DataError, FlowError
from pilothouse.flows.nodes.connections import IDENTITY, as_annotated, connection_types, find_connection
from pilothouse.flows.nodes.faults import user_code_error
from pilothouse.flows.nodes.literals import CONVERTERS, kind_of, kind_of_text
from pilothouse.flows.nodes.modules import FlowModules
from pilothouse.flows.nodes.sources import read_tool
from pilothouse.flows.nodes.work import Answer, Chunks, Mode, NodeContext, Work, iterates, iterates_async
from pilothouse.flows.prompts.images import load_image, load_images
from pilothouse.flows.streaming.taps import read_async
from pilothouse.flows.tool import ATTRIBUTE
from pilothouse.flows.types import LiteralValue, Node
from pilothouse.models.types import Connection

Tool = Callable[..., Any]

_THEIR_OPTION = "_streaming_option_parameter"


def open_python(node: Node, context: NodeContext, modules: FlowModules) -> Work:
    """Return the work of a python node whose tool is a file of the flow.

    Raises:
        FlowError: when the file has no tool, or a literal is not of its parameter's type.
        UserCodeError: when importing the file fails.
    """
    path = (context.folder / (node.source.path or "")).resolve()
    signature = read_tool(path)
    module = modules.load(path)
    where = f"{path}:{signature.line}"
    owner = getattr(module, signature.owner, None) if signature.owner else module
    tool: Tool | None = getattr(owner, signature.name, None)
    if tool is None or owner is None:
        raise FlowError(f"importing the file does not define '{signature.name}'", where=where)
    identity: list[Any] = ["python", signature.name, context.code, node.source.path]
    if signature.owner:
        tool, node, arguments = bind_method(node, context, owner, signature.name)
        identity += [signature.owner, arguments]
    return python_work(node, context, tool, identity=identity)


def bind_method(node: Node, context: NodeContext, owner: Any, name: str) -> tuple[Tool, Node, Any]:
    """Return a method of an instance made from literal inputs, the node without them, and their printed form.

    Raises:
        UserCodeError: when the constructor fails.
    """
    names = set(inspect.signature(owner).parameters)
    arguments = literal_constants(node, context, owner.__init__, names)
    try:
        instance = owner(**arguments)
    except Exception as error:
        raise user_code_error(error, f"'{owner.__name__}' cannot be made", node.where) from error
    inputs = {key: value for key, value in node.inputs.items() if key not in names}
    return getattr(instance, name), replace(node, inputs=inputs), _printed(arguments)


def python_work(node: Node, context: NodeContext, tool: Tool, *, identity: list[Any]) -> Work:
    """Return the work of a function: sync, async, or a generator of either kind."""
    constants = literal_constants(node, context, tool, set(node.inputs))
    parameters = inspect.signature(tool).parameters.values()
    optional = frozenset(item.name for item in parameters if item.default is not inspect.Parameter.empty)
    fingerprint = digest([*identity, _printed(constants)])
    option = _stream_option(tool)
    streams = option is not None or inspect.isgeneratorfunction(tool) or inspect.isasyncgenfunction(tool)
    if inspect.iscoroutinefunction(tool) or inspect.isasyncgenfunction(tool):
        return Work(
            mode=Mode.LOOP,
            prepare=_unchanged,
            send=_sender(tool),
            constants=constants,
            optional=optional,
            fingerprint=fingerprint,
            runs_user_code=True,
            cacheable=node.enable_cache,
            streams=streams,
            stream_option=option,
        )
    return Work(
        mode=Mode.THREAD,
        function=tool,
        constants=constants,
        optional=optional,
        fingerprint=fingerprint,
        runs_user_code=True,
        cacheable=node.enable_cache,
        streams=streams,
        stream_option=option,
    )


def _stream_option(tool: Tool) -> str | None:
    """Return the parameter that makes a tool stream, as its decorator was told: ours, or that of prompt flow itself."""
    info = getattr(tool, ATTRIBUTE, None)
    found = info.streaming_option_parameter if info is not None else getattr(tool, _THEIR_OPTION, None)
    return found if found in inspect.signature(tool).parameters else None


def _unchanged(inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs


def _sender(tool: Tool) -> Callable[[dict[str, Any]], Awaitable[Answer]]:
    if inspect.isasyncgenfunction(tool):

        async def gather(inputs: dict[str, Any]) -> Answer:
            return Answer(output=Chunks(await read_async(tool(**inputs))))

        return gather

    async def send(inputs: dict[str, Any]) -> Answer:
        return Answer(output=await read_out_async(await tool(**inputs)))

    return send


def read_out(output: Any) -> Any:
    """Return a sync tool's output; an iterator is read to its end, an async one on a loop of its own.

    Raises:
        FlowError: for a coroutine, which nobody would wait for.
    """
    if isinstance(output, CoroutineType):
        cast("CoroutineType[Any, Any, Any]", output).close()
        raise FlowError("the tool returned a coroutine", fix="write `async def` for the tool itself")
    if iterates_async(output):
        return Chunks(asyncio.run(read_async(output)))
    return Chunks.of(output)


async def read_out_async(output: Any, name: str | None = None) -> Any:
    """Return what an async tool returned; a generator is read to its end, a sync one in a thread.

    Args:
        output: What was returned.
        name: The output that it stands for, where the tool gives several.
    """
    if iterates_async(output):
        return Chunks(await read_async(output, name))
    if not iterates(output):
        return output
    # A thread of its own: pieces wait for whoever takes them, and one slow reader must not hold up others.
    pool = ThreadPoolExecutor(1, "generator")
    try:
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            pool, lambda: context.run(lambda: Chunks.of(output, name))
        )
    finally:
        pool.shutdown(wait=False)


def literal_constants(node: Node, context: NodeContext, tool: Tool, names: set[str]) -> dict[str, Any]:
    """Return the literal inputs of a node in the types of the tool's parameters; null and empty ones are left out.

    Raises:
        FlowError: for a literal that is not of its parameter's type.
        ConnectionFault: for a connection that is missing or incomplete.
    """
    parameters = inspect.signature(tool).parameters
    annotations = _annotations(tool)
    constants: dict[str, Any] = {}
    for name, value in node.inputs.items():
        if name not in names or not isinstance(value, LiteralValue) or value.value is None or value.value == "":
            continue
        parameter = parameters.get(name)
        annotation = annotations.get(name, parameter.annotation if parameter else inspect.Parameter.empty)
        types = connection_types(annotation)
        if types is not None:
            found = find_connection(str(value.value), types, context.models, value.where)
            context.secrets.extend(found.secrets.values())
            constants[name] = as_annotated(found, annotation, value.where)
        elif parameter is None or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            constants[name] = value.value
        else:
            constants[name] = _converted(name, value, annotation, parameter.default, context)
    return constants


def _converted(name: str, value: LiteralValue, annotation: Any, default: Any, context: NodeContext) -> Any:
    kind = kind_of_text(annotation) if isinstance(annotation, str) else kind_of(annotation, default)
    try:
        if kind == "image":
            return load_image(value.value, context.folder)
        converter = CONVERTERS.get(kind or "object")
        made = converter(value.value) if converter else value.value
        return load_images(made, context.folder) if isinstance(made, list | dict) else made
    except (ValueError, TypeError, OverflowError, DataError) as error:
        raise FlowError(
            f"the input '{name}' is {value.value!r}, which is not of the type {kind}",
            where=value.where,
            expected=f"a value of the type {kind}, as the tool's parameter says",
        ) from error


def _annotations(tool: Tool) -> dict[str, Any]:
    try:
        return typing.get_type_hints(tool)
    except Exception:  # noqa: BLE001 - annotations are the user's expressions; those that fail are read as text
        return {}


def _printed(values: dict[str, Any]) -> Any:
    """Return constants in a form that a digest can be made of, without secrets."""
    return {name: _identity(value) for name, value in sorted(values.items())}


def _identity(value: Any) -> Any:
    if hasattr(value, IDENTITY):
        return getattr(value, IDENTITY)
    return value.identity() if isinstance(value, Connection) else repr(value)
