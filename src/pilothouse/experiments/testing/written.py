"""From a decorated test to the experiment that it means: the same keys, checks and messages as a file's."""

from __future__ import annotations

import hashlib
import inspect
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import structs

from pilothouse.core.canonical import digest
from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.core.yaml import Document
from pilothouse.evaluation.evaluators.evaluator import Parameters
from pilothouse.experiments.testing.decorator import RESULT, ROW, Evaluation, Options
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow

ANSWER = "${run.outputs.output}"
ANSWERS = ("prediction", "answer", "output", "response", "text")
"""Arguments of evaluators that mean the answer where nothing is mapped to them."""

_KEPT = ("primary", "id_column", "repeats", "concurrency", "alpha", "seed")
_WITH_FILE = ("experiment", "data", "limit", "variant")
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 100


def document_of(evaluation: Evaluation) -> Document:
    """Return a document without content whose every line is the decorated function's."""
    code = evaluation.function.__code__
    return Document({}, Path(code.co_filename), {(): code.co_firstlineno})


def check(evaluation: Evaluation, where: str) -> None:
    """Refuse what the decorator cannot mean.

    Raises:
        ConfigError: with the file and line of the test.
    """
    asked = evaluation.asked
    for name in asked:
        if name not in Options.__annotations__:
            hint = nearest_hint(name, Options.__annotations__)
            raise ConfigError(f"@pilothouse.evaluate has no '{name}'", where=where, expected=hint)
    own, given = ROW in evaluation.takes, RESULT in evaluation.takes
    if own and (given or "experiment" in asked or "flow" in asked):
        raise ConfigError(
            "a function that takes `row` is itself what is tested",
            where=where,
            fix="leave out experiment, flow and `result`; or take `result` instead of `row`",
        )
    if "experiment" in asked:
        wrong = [name for name in asked if name not in _WITH_FILE]
        if wrong:
            raise ConfigError(
                f"'{wrong[0]}' stands in the experiment file", where=where, expected=", ".join(_WITH_FILE)
            )
        return
    if not own and "flow" not in asked:
        raise ConfigError(
            "nothing says what is tested", where=where, expected="a parameter `row`, or flow=..., or experiment=..."
        )
    for name in ("data", "evaluators"):
        if not asked.get(name):
            raise ConfigError(f"@pilothouse.evaluate needs {name}=...", where=where)
    if own and not asked.get("gate"):
        raise ConfigError(
            "the test has no gate, so it would pass whatever happens",
            where=where,
            fix='write one: gate={"metrics": {"exact_match": {"at_least": 0.8}}}',
        )


def name_of(evaluation: Evaluation, nodeid: str) -> str:
    """Return the name of the experiment: the decorator's, or the test's own in letters that a name may have."""
    if "name" in evaluation.asked:
        return str(evaluation.asked["name"])
    name = _FOREIGN.sub("-", nodeid.replace(".py::", ".")).strip("-._") or "test"
    if len(name) <= _LONGEST:
        return name
    return f"{name[-_LONGEST + 9 :].lstrip('-._')}-{hashlib.sha256(nodeid.encode()).hexdigest()[:8]}"


def written(evaluation: Evaluation, name: str, path: Path, find: Callable[[str], str]) -> dict[str, Any]:
    """Return what an experiment file would say, evaluators without their mappings.

    Args:
        evaluation: The test.
        name: Of the experiment.
        path: The test file; it stands where the flow does when the function itself is tested.
        find: Makes a path of the test one that stands for itself.
    """
    asked = evaluation.asked
    data = str(asked["data"])
    entries = [_entry(item, find, document_of(evaluation).where()) for item in _several(asked["evaluators"])]
    gate = dict(asked.get("gate") or {})
    # In a test, a row that raises is a fault unless the gate says how many may.
    gate = {"failed_rows": 0, **gate} if gate else {}
    if "variant" in asked:
        gate["variant"] = asked["variant"]
    return {
        "name": name,
        "flow": find(str(asked["flow"])) if "flow" in asked else str(path),
        "data": data if data.startswith("dataset:") else find(data),
        "evaluators": entries,
        **({"column_mapping": dict(asked["inputs"])} if "inputs" in asked else {}),
        **({"gate": gate} if gate else {}),
        **{key: asked[key] for key in _KEPT if key in asked},
    }


def mapped(parameters: Parameters, common: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return the mapping of an evaluator that has none of its own.

    What the decorator maps comes first; then arguments that are called as columns are, then those that mean the answer.
    """
    takes = (*parameters.required, *parameters.optional)
    own = {name: value for name, value in common.items() if name in takes or parameters.open}
    found = {name: f"${{data.{name}}}" for name in takes if name in columns and name not in ANSWERS}
    answers = [name for name in ANSWERS if name in takes]
    return {**found, **dict.fromkeys(answers[:1], ANSWER), **own}


def flow_of(
    evaluation: Evaluation, call: Callable[..., Any], name: str, columns: Sequence[str]
) -> tuple[Flow, dict[str, str]]:
    """Return the decorated function as a flow with an input for every column, and the mapping that fills it.

    It is the same version as long as its own source and the name of the test are the same.
    """
    inputs = {_input(column, at): column for at, column in enumerate(columns)}

    def row(values: dict[str, Any]) -> dict[str, Any]:
        return {inputs[key]: value for key, value in values.items()}

    async def waits(**values: Any) -> Any:
        return await call(row=row(values))

    def returns(**values: Any) -> Any:
        return call(row=row(values))

    entry: Any = waits if inspect.iscoroutinefunction(evaluation.function) else returns
    parameters = [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None) for key in inputs]
    entry.__signature__ = inspect.Signature(parameters)
    entry.__name__ = evaluation.function.__name__
    version = digest([load_flow(evaluation.function).digest, name])
    flow = structs.replace(load_flow(entry), digest=version)
    return flow, {key: f"${{data.{column}}}" for key, column in inputs.items()}


def _input(column: str, at: int) -> str:
    return column if column.isidentifier() and not keyword.iskeyword(column) else f"column_{at}"


def _several(given: Any) -> list[Any]:
    """Return a list, also of a single evaluator."""
    return [given] if isinstance(given, str | Mapping) or callable(given) else list(given)


def _entry(item: Any, find: Callable[[str], str], where: str) -> dict[str, Any]:
    if isinstance(item, Mapping):
        entry = dict(cast("Mapping[str, Any]", item))
        return {**entry, **({"use": _use(entry["use"], find, where)} if "use" in entry else {})}
    return {"use": _use(item, find, where)}


def _use(item: Any, find: Callable[[str], str], where: str) -> str:
    if isinstance(item, str):
        file, colon, symbol = item.rpartition(":")
        return f"{find(file)}:{symbol}" if colon and file.endswith(".py") else find(item) if "/" in item else item
    name = getattr(item, "__qualname__", "")
    if not name.isidentifier():
        raise ConfigError(
            f"the evaluator '{name or item!r}' has no place of its own",
            where=where,
            expected="a function or class at the top of a file: its source is its version",
        )
    return f"{inspect.getsourcefile(item)}:{name}"
