"""Flows of what lives in this process: a function, a class, or an instance that is called for each line."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.canonical import digest
from pilothouse.core.errors import FlowError
from pilothouse.flows.flex.loader import function_flow
from pilothouse.flows.flex.signature import AGGREGATE, CALL, EntrySignature
from pilothouse.flows.nodes.sources import Parameter
from pilothouse.flows.types import Flow

_FOREIGN = re.compile(r"\W+")
_SINGLE = {"str", "int", "float", "bool", "list"}


def live_flow(entry: Callable[..., Any]) -> Flow:
    """Return the flow of a function, of a class that is made with init arguments, or of an instance that is made.

    Its folder is the working directory; it is the same version as long as its source is the same.

    Raises:
        FlowError: when it cannot be called by name, or its ``__aggregate__`` does not take one parameter.
    """
    signature = read_live(entry)
    module = inspect.getmodule(entry) or inspect.getmodule(type(entry))
    path = Path.cwd() / f"{signature.name}.py"
    flow = function_flow(path, signature, f"{module.__name__ if module else '__main__'}:{signature.name}")
    return replace(flow, target=entry, digest=digest([flow.entry, _code(entry)]))


def read_live(entry: Any) -> EntrySignature:
    """Return what a function, class or instance takes and gives.

    Raises:
        FlowError: when a flow cannot be made of it.
    """
    is_class = inspect.isclass(entry)
    call = entry if is_function(entry) else getattr(entry, CALL, None)
    name = _name(entry)
    if call is None or (is_class and CALL not in {item for base in entry.__mro__ for item in vars(base)}):
        raise FlowError(f"'{name}' has no {CALL}", where=_place(entry), fix=f"write `def {CALL}(self, ...)`")
    inputs, takes_any = _parameters(call, _place(call), is_method=is_class)
    made: tuple[list[Parameter], bool] = ([], False)
    if is_class and entry.__init__ is not object.__init__:
        made = _parameters(entry.__init__, _place(entry), is_method=True)
    return EntrySignature(
        name=name,
        module=f"{name}.py",
        place=_place(call),
        is_class=is_class,
        inputs=tuple(inputs),
        takes_any=takes_any,
        init=tuple(made[0]),
        init_takes_any=made[1],
        aggregate=_aggregate(entry),
        outputs=_outputs(call),
    )


def is_function(entry: Any) -> bool:
    """Return whether an entry is called itself, not through its class: a function, a method, or part of one."""
    return inspect.isroutine(entry) or isinstance(entry, partial)


def _definition(entry: Any) -> Any:
    """Return what stands in the source: a function, or the class of an instance."""
    if isinstance(entry, partial):
        return _definition(cast("Any", entry).func)
    is_defined = inspect.isclass(entry) or inspect.isroutine(entry)
    return cast("Any", entry if is_defined else type(entry))


def _name(entry: Any) -> str:
    return _FOREIGN.sub("_", getattr(_definition(entry), "__name__", "")).strip("_") or "function"


def _parameters(call: Any, where: str, *, is_method: bool) -> tuple[list[Parameter], bool]:
    try:
        items = list(inspect.signature(call).parameters.values())[1 if is_method else 0 :]
    except (ValueError, TypeError) as error:
        raise FlowError(f"what it takes cannot be told: {error}", where=where, expected="a Python function") from error
    takes_any = False
    found: list[Parameter] = []
    for item in items:
        if item.kind is item.POSITIONAL_ONLY:
            raise FlowError(
                f"'{item.name}' can only be given by its place, but inputs are given by name",
                where=where,
                fix="take the `/` out of the parameters",
            )
        if item.kind is item.VAR_KEYWORD:
            takes_any = True
        elif item.kind is not item.VAR_POSITIONAL:
            is_given = item.default is not item.empty
            annotation = "" if item.annotation is item.empty else _text(item.annotation)
            default = item.default if is_given and isinstance(item.default, str | int | float | bool) else None
            found.append(Parameter(name=item.name, annotation=annotation, has_default=is_given, default=default))
    return found, takes_any


def _aggregate(entry: Any) -> str | None:
    method = getattr(entry, AGGREGATE, None)
    if method is None:
        return None
    parameters, takes_any = _parameters(method, _place(method), is_method=_is_unbound(entry))
    if len(parameters) != 1 or takes_any:
        raise FlowError(
            f"{AGGREGATE} takes {len(parameters)} parameters",
            where=_place(method),
            expected=f"def {AGGREGATE}(self, line_results: list): one parameter, the outputs of the completed lines",
        )
    return parameters[0].name


def _is_unbound(entry: Any) -> bool:
    if not inspect.isclass(entry):
        return False
    return not isinstance(inspect.getattr_static(entry, AGGREGATE), staticmethod | classmethod)


def _outputs(call: Any) -> dict[str, str]:
    try:
        returned: Any = typing.get_type_hints(call).get("return")
    except Exception:  # noqa: BLE001 - annotations are the user's expressions; those that fail say nothing
        return {}
    fields = getattr(returned, "__annotations__", None) if inspect.isclass(returned) else None
    if fields and (hasattr(returned, "__dataclass_fields__") or issubclass(returned, dict)):
        return {name: _text(annotation) for name, annotation in fields.items()}
    text = _text(returned) if returned is not None else ""
    return {"output": text} if text.partition("[")[0] in _SINGLE else {}


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _place(entry: Any) -> str:
    target = _definition(entry)
    try:
        return f"{inspect.getsourcefile(target)}:{inspect.getsourcelines(target)[1]}"
    except (OSError, TypeError):
        return f"<{_name(entry)}>"


def _code(entry: Any) -> list[Any]:
    """Return what decides the entry's behaviour, as far as it can be read: its source, or else its byte code."""
    target = _definition(entry)
    try:
        # Layout and comments do not make another version.
        return [ast.dump(ast.parse(inspect.cleandoc(inspect.getsource(target))))]
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        return [item for method in _methods(target) for item in (method.__code__.co_code.hex(), _constants(method))]


def _methods(target: Any) -> Iterator[Any]:
    members: list[Any] = list(vars(target).values()) if inspect.isclass(target) else [target]
    return (item for item in members if hasattr(item, "__code__"))


def _constants(method: Any) -> list[str]:
    return [repr(item) for item in method.__code__.co_consts if not hasattr(item, "co_code")]
