"""Evaluator of structured output: whether an answer is JSON that a schema allows."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from pilothouse.core.errors import ConfigError
from pilothouse.core.extras import require
from pilothouse.evaluation.types import Metric, Score

_ERRORS_SHOWN = 5


class JsonSchema:
    """Share of answers that are JSON (in text or as data) and fit a JSON Schema; what does not fit is the evidence.

    Args:
        schema: A JSON Schema, of the draft that its ``$schema`` names (2020-12 without one); references to other
            documents are refused, nothing is fetched. Without a schema any JSON is right.
    """

    inline = True
    metrics = (Metric(name="json_valid", kind="rate", worst=0.0, bounds=(0.0, 1.0)),)

    def __init__(self, *, schema: dict[str, Any] | None = None) -> None:
        jsonschema = require("jsonschema", extra="metrics", purpose="the evaluator 'json_schema'")
        referencing = require("referencing.exceptions", extra="metrics", purpose="the evaluator 'json_schema'")
        kind = jsonschema.validators.validator_for(schema or {}, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(schema or {})
        except jsonschema.SchemaError as error:
            raise ConfigError(
                f"this is no JSON Schema: {error.message}", where=f"schema{error.json_path[1:]}"
            ) from error
        self._validator: Any = kind(schema or {})
        self._unresolvable: type[Exception] = referencing.Unresolvable

    def __call__(self, prediction: Any) -> Score:
        """Judge one row."""
        if isinstance(prediction, str):
            try:
                prediction = json.loads(prediction, parse_constant=_refuse)
            except ValueError as error:
                return Score(value=False, evidence={"errors": [f"not JSON: {error}"]})
        try:
            found: list[Any] = list(islice(self._validator.iter_errors(prediction), _ERRORS_SHOWN))
        except self._unresolvable as error:
            raise ConfigError(
                f"the schema refers to another document: {error}", fix="write it into the schema"
            ) from error
        errors = [f"{error.json_path}: {error.message}" for error in found]
        return Score(value=not errors, evidence={"errors": errors} if errors else None)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
