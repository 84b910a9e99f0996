"""What prompt flow's deployments set in the environment, and what it means here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from pilothouse.core.errors import ConfigError

PROJECT_PATH: Final = "PROMPTFLOW_PROJECT_PATH"
INCLUDED: Final = "PROMPTFLOW_RESPONSE_INCLUDED_FIELDS"
INIT: Final = "PF_FLOW_INIT_CONFIG"
BUILD: Final = "BUILD_INFO"

_IGNORED: Final = {
    "PROMPTFLOW_SERVING_ENGINE": "there is one engine",
    "PROMPTFLOW_WORKER_NUM": "one process serves all requests; run several behind a balancer",
    "PROMPTFLOW_WORKER_THREADS": "set flows.threads in pilothouse.yaml",
    "PROMPTFLOW_CONNECTION_PROVIDER": "connections are files of the project",
    "PROMPTFLOW_ENCODED_CONNECTIONS": "connections are files of the project",
}


def ignored(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return a note for each variable that has no effect here."""
    names = [(name, name.replace("PROMPTFLOW_", "PF_", 1)) for name in _IGNORED]
    return tuple(
        f"{found} has no effect: {_IGNORED[name]}"
        for name, short in names
        for found in (name, short)
        if environment.get(found)
    )


def included_outputs(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the outputs that are answered, where the environment chooses them.

    Raises:
        ConfigError: when it is not a list of names.
    """
    found = _json(environment, INCLUDED, "a list of outputs, as JSON")
    if found is None:
        return None
    if not isinstance(found, list):
        raise ConfigError(f"{INCLUDED} is no list", expected='a list of outputs, such as ["answer"]')
    return tuple(map(str, cast("list[Any]", found)))


def init_arguments(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of a flex flow's class that the environment gives.

    Raises:
        ConfigError: when they are no mapping.
    """
    found = _json(environment, INIT, "a mapping of arguments, as JSON")
    if found is not None and not isinstance(found, dict):
        raise ConfigError(f"{INIT} is no mapping", expected='arguments of the class, such as {"points": 2}')
    return cast("dict[str, Any]", found or {})


def _json(environment: Mapping[str, str], name: str, expected: str) -> Any:
    text = environment.get(name)
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name} is not JSON: {error}", expected=expected) from error
