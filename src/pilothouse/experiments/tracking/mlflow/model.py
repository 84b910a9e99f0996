"""A logged flow as a model of `mlflow.pyfunc`: rows in, outputs out, run as every flow is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from pilothouse.core.errors import DataError
from pilothouse.flows.dag.variants import chosen
from pilothouse.flows.function import FlowFunction
from pilothouse.flows.loader import load_flow

LOADER: Final = "pilothouse.experiments.tracking.mlflow.model"
BUILD: Final = "build"
FACTS: Final = "model.json"


class FlowModel:
    """A flow that predicts.

    Args:
        function: The flow.
    """

    def __init__(self, function: FlowFunction) -> None:
        self._function = function

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the outputs of every row.

        Args:
            model_input: A data frame, a list of mappings, or one mapping.
            params: Inputs that all rows share.

        Raises:
            DataError: for anything else.
            UserCodeError: a row failed; what it says is what `flow test` says.
        """
        return [self._function(**{**(params or {}), **row}) for row in _rows(model_input)]


def _load_pyfunc(path: str) -> FlowModel:  # pyright: ignore[reportUnusedFunction] - MLflow calls it by this name
    folder = Path(path)
    facts = msgspec.json.decode((folder / FACTS).read_bytes())
    return FlowModel(FlowFunction(chosen(load_flow(folder / facts["path"]), facts["variants"])))


def _rows(given: Any) -> Iterable[dict[str, Any]]:
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        return cast("list[dict[str, Any]]", given.to_dict(orient="records"))
    if isinstance(given, Mapping):
        return [dict(cast("Mapping[str, Any]", given))]
    rows = cast("list[Any]", given) if isinstance(given, list) else []
    if rows and all(isinstance(row, Mapping) for row in rows):
        return rows
    raise DataError(
        f"a flow takes rows with names, not {type(cast('object', given)).__name__}",
        expected="a data frame or a list of mappings",
    )
