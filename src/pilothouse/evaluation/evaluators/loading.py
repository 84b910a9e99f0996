"""Where evaluators come from: a built-in's name, a Python file, a flow."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pilothouse.core import plugins
from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConfigError, NotFound, UserError, nearest_hint
from pilothouse.evaluation.evaluators.calls import CallableEvaluator, parameters_of
from pilothouse.evaluation.evaluators.evaluator import Evaluator, Parameters
from pilothouse.evaluation.evaluators.flow import FlowEvaluator, OpenFlow
from pilothouse.evaluation.evaluators.sources import digest_of_source
from pilothouse.evaluation.types import EvaluatorSpec
from pilothouse.flows.loader import find_flow_file
from pilothouse.flows.nodes.faults import user_code_error
from pilothouse.flows.nodes.modules import FlowModules
from pilothouse.flows.nodes.work import ModelLookup

GROUP = "evaluators"
_FLOW_OPTIONS = {"variants", "connections"}


def load_evaluator(
    spec: EvaluatorSpec, root: Path, open_flow: OpenFlow, models: ModelLookup | None = None
) -> Evaluator:
    """Return the evaluator that ``spec`` asks for.

    ``file.py:Name`` is Python; a name is a built-in (``./name`` is a path); any other existing path is a flow. A
    built-in that asks models has ``from_spec(spec, models, root)``; one that reads files of the project is a class with
    ``located = True`` and takes ``root``.

    Raises:
        NotFound: when there is no such built-in, file, name in the file, or flow.
        ConfigError: when options or parameters do not fit, or a built-in's name is that of a flow too.
        FlowError: when the flow cannot be loaded.
        UserCodeError: when the file or the class raises.
    """
    file, colon, symbol = spec.source.rpartition(":")
    if colon and file.endswith(".py"):
        path = root / file
        return _from_python(spec, _named(_imported(path, spec), symbol, path, spec), path)
    if spec.source in plugins.names(GROUP):
        _refuse_namesake(spec, root)
        target = plugins.load(GROUP, spec.source)
        if hasattr(target, "from_spec"):
            return _of_models(spec, target, models, root)
        source = inspect.getsourcefile(target)
        given = {"root": root} if getattr(target, "located", False) else {}
        return _from_python(spec, target, Path(source) if source else None, given)
    if (root / spec.source).exists() and not spec.source.endswith(".py"):
        return _from_flow(spec, root / spec.source, open_flow)
    raise NotFound(
        f"there is no evaluator '{spec.source}'; {nearest_hint(spec.source, plugins.names(GROUP))}",
        where=spec.where,
        expected="a built-in's name, 'path/to/file.py:Name', or the path of a flow",
    )


def _refuse_namesake(spec: EvaluatorSpec, root: Path) -> None:
    """Refuse a built-in's name that a flow of the project has too: neither may be taken for the other.

    Raises:
        ConfigError: with the way to say which is meant.
    """
    try:
        flow = find_flow_file(root / spec.source)
    except UserError:
        return
    raise ConfigError(
        f"'{spec.source}' is both a built-in evaluator and a flow of the project: {flow.name}",
        where=spec.where,
        fix=f"write './{spec.source}' for the flow, or rename its folder for the built-in",
    )


def _of_models(spec: EvaluatorSpec, target: Any, models: ModelLookup | None, root: Path) -> Evaluator:
    """Return an evaluator that asks models: it is built with the way to them."""
    if models is None and not getattr(target, "without_models", False):
        raise ConfigError(f"the evaluator '{spec.name}' asks models, but no models are at hand here", where=spec.where)
    evaluator: Evaluator = target.from_spec(spec, models, root)
    return evaluator


def _imported(path: Path, spec: EvaluatorSpec) -> ModuleType:
    if not path.is_file():
        raise NotFound(
            f"there is no evaluator file '{path}'", where=spec.where, fix="give its path relative to the project"
        )
    return FlowModules(path.parent).load(path)


def _named(module: ModuleType, symbol: str, path: Path, spec: EvaluatorSpec) -> Any:
    found = vars(module).get(symbol)
    if callable(found):
        return found
    own = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    what = f"has no '{symbol}'" if found is None else f"has '{symbol}', which cannot be called"
    raise NotFound(
        f"the file '{path.name}' {what}; {nearest_hint(symbol, own)}",
        where=spec.where,
        expected="the name of a function, or of a class with __call__",
    )


def _from_python(
    spec: EvaluatorSpec, target: Any, source: Path | None, given: Mapping[str, Any] | None = None
) -> Evaluator:
    content = digest_of_source(source) if source is not None else repr(target)
    told = {"source": content, "name": getattr(target, "__qualname__", ""), "options": spec.options}
    if inspect.isclass(target):
        target = _built(spec, target, given or {})
        # What an evaluator reads from files decides its scores as its options do.
        told |= {"identity": target.identity} if given is not None and hasattr(target, "identity") else {}
    elif spec.options:
        raise ConfigError(
            f"the evaluator '{spec.name}' is a function and takes no options; {', '.join(spec.options)} given",
            where=spec.where,
            fix="make it a class with __init__ and __call__, or map constants as arguments",
        )
    return CallableEvaluator(spec.name, target, digest(told), spec.better)


def _built(spec: EvaluatorSpec, target: type, given: Mapping[str, Any]) -> Any:
    if "__call__" not in dir(target):
        raise ConfigError(f"the class '{target.__name__}' has no __call__", where=spec.where)
    known = parameters_of(target, spec.name)
    options = Parameters(
        required=tuple(name for name in known.required if name not in given), optional=known.optional, open=known.open
    )
    options.check(spec.options, spec.name, spec.where)
    try:
        return target(**given, **spec.options)
    except ConfigError as error:
        raise ConfigError(error.message, where=spec.where, expected=error.expected, fix=error.fix) from error
    except (Exception, SystemExit) as error:
        where = spec.where or spec.source
        raise user_code_error(error, f"the evaluator '{spec.name}' cannot be built", where) from error


def _from_flow(spec: EvaluatorSpec, path: Path, open_flow: OpenFlow) -> Evaluator:
    unknown = sorted(spec.options.keys() - _FLOW_OPTIONS)
    if unknown:
        raise ConfigError(
            f"a flow as evaluator has no option '{unknown[0]}'; {nearest_hint(unknown[0], _FLOW_OPTIONS)}",
            where=spec.where,
        )
    for name, value in spec.options.items():
        if not isinstance(value, Mapping):
            raise ConfigError(f"the option '{name}' is {value!r}", where=spec.where, expected="node: choice")
    flow, open_lines = open_flow(path, spec.options)
    version = digest({"flow": flow.digest, "options": spec.options})
    return FlowEvaluator(spec.name, flow, open_lines, version, spec.better)
