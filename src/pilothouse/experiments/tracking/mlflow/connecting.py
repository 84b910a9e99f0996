"""A client of an MLflow server that is quick to give up, shows no secret, and tells nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from msgspec import Struct

from pilothouse.core.environment import Environment, export
from pilothouse.core.errors import ConfigError, StorageError
from pilothouse.core.extras import require

_ACCESS: Final = (
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
)
_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_QUIET: Final = {
    # MLflow tells its makers what is called unless this is set before it is imported.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PAGE: Final = 500


class Server(Struct, frozen=True, kw_only=True):
    """A server: where it is, and what speaks with it."""

    address: str
    client: Any
    entities: Any

    def pages(self, search: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
        """Yield everything a search finds, page by page."""
        token: str | None = None
        while True:
            page = search(max_results=PAGE, page_token=token, **arguments)
            yield from page
            token = page.token
            if not token:
                return


@contextmanager
def connected(address: str, environment: Environment) -> Generator[Server]:
    """Give a client of the server; what goes wrong with it inside is told in words.

    Args:
        address: Where it is.
        environment: Holds the token or the password, if one is needed.

    Raises:
        ConfigError: the package is missing, or the server refuses who asks.
        StorageError: it does not answer, or cannot do what is asked.
    """
    given = {name: environment[name] for name in (*_ACCESS, *_PATIENCE) if name in environment}
    export({**_PATIENCE, **given, **_QUIET})
    mlflow = require("mlflow", extra="mlflow", purpose="logging to MLflow")
    faults = require("mlflow.exceptions", extra="mlflow", purpose="logging to MLflow")
    for name in ("mlflow", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
    entities = require("mlflow.entities", extra="mlflow", purpose="logging to MLflow")
    server = Server(
        address=address, client=mlflow.MlflowClient(tracking_uri=address, registry_uri=address), entities=entities
    )
    requests = require("requests", extra="mlflow", purpose="logging to MLflow")
    try:
        server.client.search_experiments(max_results=1)
        yield server
    except (faults.MlflowException, requests.RequestException) as error:
        raise _fault(error, address) from error


def _fault(error: Exception, address: str) -> ConfigError | StorageError:
    text = " ".join(str(error).split())
    refused = any(code in text for code in ("error code 401", "error code 403", "401 Client Error", "403 Client Error"))
    if refused or getattr(error, "error_code", "") in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
        return ConfigError(
            f"the MLflow server at {address} refuses access",
            fix="set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, in the "
            "environment or in .env",
        )
    if any(word in text for word in ("Max retries exceeded", "Connection refused", "Connection aborted", "timed out")):
        return StorageError(
            f"the MLflow server at {address} does not answer",
            fix="is it running there? the same command may be repeated: what is there already is not doubled",
        )
    return StorageError(
        f"the MLflow server at {address} could not do it: {text[:500]}",
        fix="the same command may be repeated: what is there already is not doubled",
    )
