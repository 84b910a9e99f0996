"""Evaluators written in Python: a function, or a class with ``__call__`` and, if it likes, ``__aggregate__``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, Self, cast

from pilothouse.core.errors import ConfigError, PilothouseError
from pilothouse.evaluation.evaluators.evaluator import Aggregated, Judged, Parameters
from pilothouse.evaluation.evaluators.returned import scores_of
from pilothouse.evaluation.types import Direction, LabelPair, Metric, Score
from pilothouse.flows.nodes.faults import own_fault, text_of, user_traceback
from pilothouse.flows.results import ErrorInfo
from pilothouse.flows.running.threads import ToolThreads

_THREADS = 64
_BY_NAME = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


class CallableEvaluator:
    """A Python callable as an evaluator. Calls may overlap: a class that keeps state between rows must guard it.

    A callable may carry these attributes:

    - ``metrics``: tuple of `Metric`, in place of the figures that its scores suggest;
    - ``inline = True``: it computes for microseconds only and is called on the event loop; all other synchronous
      callables run in threads;
    - ``on_failure(arguments) -> LabelPair | Score``: of a row that failed upstream the true label, so that the row
      counts as wrong in its own class, or a score with the sums of an empty answer;
    - ``__aggregate__(results) -> dict[str, float]``: figures over what the calls returned, in the order of the rows.
    """

    def __init__(
        self, name: str, target: Callable[..., Any], version: str, better: Direction | dict[str, Direction] = "higher"
    ) -> None:
        self.name = name
        self.version = version
        self.better: Direction | dict[str, Direction] = better
        self.parameters = parameters_of(target, name)
        self.metrics: tuple[Metric, ...] = tuple(getattr(target, "metrics", ()))
        self._target = target
        self._inline = bool(getattr(target, "inline", False)) or _is_async(target)
        self._aggregate: Callable[..., Any] | None = getattr(target, "__aggregate__", None)
        self._on_failure: Callable[..., LabelPair | Score] | None = getattr(target, "on_failure", None)
        self._threads: ToolThreads | None = None
        self.aggregates = self._aggregate is not None

    async def judge(self, arguments: Mapping[str, Any], number: int) -> Judged:
        """Call the target with the arguments of one row."""
        returned, fault = await self._call(self._target, **arguments)
        if fault is not None:
            return Judged(scores=(Score(name=self.name, state="error", error=fault),), completed=False)
        return Judged(scores=scores_of(returned, self.name), returned=returned if self.aggregates else None)

    def unanswered(self, arguments: Mapping[str, Any]) -> Score:
        """Ask the target's ``on_failure``; without one, or when it fails itself, nothing is known."""
        known = _attempt(self._on_failure, (arguments,), {})[0] if self._on_failure is not None else None
        if isinstance(known, LabelPair):
            return Score(name=self.name, labels=known)
        return Score(name=self.name, sums=known.sums) if isinstance(known, Score) else Score(name=self.name)

    async def aggregate(self, judged: Sequence[Judged]) -> Aggregated:
        """Call ``__aggregate__`` with what the completed calls returned."""
        if self._aggregate is None:
            return Aggregated(figures={}, faults={})
        returned, fault = await self._call(self._aggregate, [item.returned for item in judged if item.completed])
        if fault is not None:
            return Aggregated(figures={}, faults={self.name: f"__aggregate__ raised {fault.type}: {fault.message}"})
        return figures_of(returned, self.name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._threads is not None:
            self._threads.close()
            self._threads = None

    async def _call(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, ErrorInfo | None]:
        if self._inline:
            returned, error = _attempt(target, args, kwargs)
        else:
            self._threads = self._threads or ToolThreads(_THREADS)
            returned, error = await self._threads.run(lambda: _attempt(target, args, kwargs))
        if error is None and inspect.isawaitable(returned):
            try:
                return await returned, None
            except Exception as raised:  # noqa: BLE001  the user's code: whatever it raises is the row's state
                error = raised
        return returned, None if error is None else fault_of(error)


def _attempt(
    target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    # Caught here and not by the caller: a future cannot carry a StopIteration, and a SystemExit must end nothing.
    try:
        return target(*args, **kwargs), None
    except (Exception, SystemExit) as error:  # noqa: BLE001  the user's code: whatever it raises is the row's state
        return None, error


def fault_of(error: BaseException) -> ErrorInfo:
    """Return what is kept of an exception: of the user's own code its frames too."""
    if isinstance(error, PilothouseError):
        return own_fault(error)
    return ErrorInfo(type=type(error).__name__, message=text_of(error), traceback=user_traceback(error))


def _is_async(target: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004


def parameters_of(target: Callable[..., Any], name: str) -> Parameters:
    """Return the parameters of a callable that is called with names.

    Raises:
        ConfigError: when it has one that cannot be given by name.
    """
    required: list[str] = []
    optional: list[str] = []
    is_open = False
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind in _BY_NAME:
            (required if parameter.default is inspect.Parameter.empty else optional).append(parameter.name)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            is_open = True
        elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ConfigError(
                f"the evaluator '{name}' takes '{parameter.name}' by position only",
                expected="parameters that can be given by name",
            )
    return Parameters(required=tuple(required), optional=tuple(optional), open=is_open)


def figures_of(returned: Any, name: str) -> Aggregated:
    """Return the finite numbers of a dict of figures, and for every other entry why it is none."""
    if not isinstance(returned, Mapping):
        fault = f"__aggregate__ returned {type(returned).__name__}; expected a dict of numbers"
        return Aggregated(figures={}, faults={name: fault})
    figures: dict[str, float] = {}
    faults: dict[str, str] = {}
    for key, value in cast("Mapping[Any, Any]", returned).items():
        if isinstance(value, Real | Decimal) and math.isfinite(value):
            figures[str(key)] = float(value)
        else:
            faults[str(key)] = f"not a finite number: {value!r}"
    return Aggregated(figures=figures, faults=faults)
