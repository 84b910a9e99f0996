"""`@pilothouse.evaluate`: a test that judges many rows by a gate. It wakes nothing: the work is the plugin's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

PLUGIN = "pilothouse"
"""The plugin's name at pytest, as in ``-p no:pilothouse``."""

ROW, RESULT, REQUEST = "row", "result", "request"


class Options(TypedDict, total=False):
    """What a test of an evaluation asks for.

    Attributes:
        experiment: An experiment file: it is run, and its gate decides. Only ``data``, ``limit`` and ``variant`` go
            with it.
        data: A data file or folder, or ``dataset:name``; beside the test file, or in the project.
        evaluators: Names of built-ins, functions, ``path/to/file.py:Name``, or entries as experiment files have them.
        column_mapping: Argument of an evaluator -> ``${data.x}``, ``${run.outputs.x}`` or a literal.
        gate: What has to hold, as the section ``gate:`` of an experiment file.
        flow: A flow, instead of the decorated function.
        inputs: Flow input -> ``${data.x}`` or a literal.
        primary: The metric that decides; the first one when absent.
        id_column: The column that names the rows.
        repeats: Times every row is run.
        limit: Only the first rows.
        concurrency: Rows in flight.
        variant: The arm that is judged, of several.
        name: Of the experiment; from the test's own name when absent.
        alpha: The accepted chance of a false failure.
        seed: Of the resampling.
        resume: Take the answers that the same function gave before, as the flows of experiments do.
    """

    experiment: str
    data: str
    evaluators: Sequence[str | Callable[..., Any] | Mapping[str, Any]]
    column_mapping: Mapping[str, Any]
    gate: Mapping[str, Any]
    flow: str
    inputs: Mapping[str, Any]
    primary: str
    id_column: str
    repeats: int
    limit: int
    concurrency: int
    variant: str
    name: str
    alpha: float
    seed: int
    resume: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """A decorated test.

    Attributes:
        function: The test as it was written.
        asked: See `Options`; unknown keys are refused when it runs.
        takes: The names of its parameters.
    """

    function: Callable[..., Any]
    asked: Mapping[str, Any]
    takes: frozenset[str]


def evaluate(**asked: Unpack[Options]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a pytest test of an evaluation: many rows are judged together, by a gate, with intervals.

    A function with a parameter ``row`` is what is tested: it is called with each row of the data, and returns the
    answer. A function with a parameter ``result`` sees what an experiment file or a flow gave, after the gate passed.
    All other parameters are fixtures.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        evaluation = Evaluation(function=function, asked=dict(asked), takes=frozenset(signature.parameters))

        def test(*owner: Any, **fixtures: Any) -> None:
            _run(evaluation, owner, fixtures)

        functools.update_wrapper(test, function)
        test.__signature__ = _for_pytest(signature)  # type: ignore[attr-defined]
        test.pilothouse_evaluation = evaluation  # type: ignore[attr-defined]
        return test

    return decorate


def _for_pytest(signature: inspect.Signature) -> inspect.Signature:
    """Return the parameters that are fixtures: those of the test without our own, and pytest's request."""
    kept = [item for name, item in signature.parameters.items() if name not in {ROW, RESULT}]
    if REQUEST not in signature.parameters:
        place = next((at for at, item in enumerate(kept) if item.kind is item.VAR_KEYWORD), len(kept))
        kept.insert(place, inspect.Parameter(REQUEST, inspect.Parameter.KEYWORD_ONLY))
    return signature.replace(parameters=kept, return_annotation=None)


def _run(evaluation: Evaluation, owner: tuple[Any, ...], fixtures: dict[str, Any]) -> None:
    if REQUEST not in fixtures:
        raise TypeError("@pilothouse.evaluate needs pytest's fixtures: functions and plain classes, no TestCase")
    request = fixtures[REQUEST] if REQUEST in evaluation.takes else fixtures.pop(REQUEST)
    plugin = request.config.pluginmanager.get_plugin(PLUGIN)
    if plugin is None:
        import pytest

        pytest.skip("the plugin of Pilothouse is off")
    plugin.run(evaluation, request, functools.partial(evaluation.function, *owner, **fixtures))
