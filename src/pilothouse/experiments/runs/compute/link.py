"""This process's connection to Ray: one at a time, made by the first run that wants it, ended with the project."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from pilothouse.core.environment import export
from pilothouse.core.errors import ConfigError, Conflict, StorageError
from pilothouse.core.extras import require
from pilothouse.core.services import Services
from pilothouse.experiments.runs.compute.types import AUTO, RAY

#: Seconds in which the head of a cluster has to accept a connection.
KNOCK = 5.0

#: Bytes of memory that a Ray of ours keeps objects in; lines and rows pass through it only where they are large.
OBJECTS = 256 << 20

_QUIET = {
    # No statistics of use are sent anywhere, and nothing is said about it.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    # Which graphics cards a worker sees is left as it is.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class RayLink:
    """A connection to a Ray of this machine, or to a cluster. Runs that come later share it.

    Ray is started in a thread of its own that lives as long as the connection: Linux ends Ray's processes when the
    thread that has started them ends, which is how none of them outlives this process, killed or not.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray")
        self._ray: Any = None
        self._compute: str | None = None
        self._cpus = 0

    @classmethod
    def build(cls, _services: Services) -> Self:
        """Return the connection of a project, not yet made."""
        return cls()

    async def connect(self, compute: str, workers: int | None) -> Any:
        """Return Ray's module once this process is connected.

        Args:
            compute: Where to; see `RunSpec`.
            workers: Processes that a Ray of ours has room for at least.

        Raises:
            ConfigError: when Ray is not installed, cannot be reached, or is of another version.
            StorageError: when it does not start here.
            Conflict: when this process is connected elsewhere.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._connect, compute, workers)

    def close(self) -> None:
        """End the connection, and the Ray that was started for it."""
        if self._ray is not None:
            self._thread.submit(self._disconnect).result()
        self._thread.shutdown()

    def _disconnect(self) -> None:
        if self._ray is not None:
            self._ray.shutdown()
        self._ray = self._compute = None

    def _connect(self, compute: str, workers: int | None) -> Any:
        export(_QUIET)
        if compute == RAY and "ray" not in sys.modules:
            # Ray listens on every interface: who has not this word, which only its own processes inherit, is turned
            # away. It reads the word once, when it is imported.
            export({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
        ray = require("ray", extra="ray", purpose=f"compute: {compute}")
        # Importing it has set a level of its own.
        logging.getLogger("ray").setLevel(logging.ERROR)
        wanted = workers or os.cpu_count() or 1
        if self._ray is not None and (self._compute != compute or (compute == RAY and wanted > self._cpus)):
            self._disconnect()
        if ray.is_initialized():
            _refuse_elsewhere(ray, compute, is_ours=self._ray is not None)
            return ray
        if compute == RAY:
            self._start(ray, max(wanted, os.cpu_count() or 1))
        else:
            self._join(ray, compute)
        self._ray, self._compute = ray, compute
        return ray

    def _start(self, ray: Any, cpus: int) -> None:
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                object_store_memory=OBJECTS,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                **_SILENT,
            )
        except Exception as error:  # Ray raises plain exceptions where its processes do not start
            ray.shutdown()
            raise StorageError(
                f"Ray did not start on this machine: {error}",
                fix="look at how busy it is; or compute here: --compute local",
            ) from error
        self._cpus = cpus

    def _join(self, ray: Any, address: str) -> None:
        if address != AUTO:
            _knock(address)
        try:
            # Ray Client takes fewer options; workers' prints stay in the cluster's own logs.
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise _refused(address, error) from error


_SILENT = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}


def _knock(address: str) -> None:
    """Look whether anybody listens there: Ray itself would try for half a minute, and say it in many lines."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()
    except OSError as error:
        raise ConfigError(
            f"no Ray answers at {address}: {error.strerror or error}",
            where=f"compute: {address}",
            expected="ray://HOST:10001 of a cluster's Ray Client, or HOST:6379 of its head",
            fix="start it (ray start --head), or compute here: --compute ray",
        ) from error


def _refused(address: str, error: Exception) -> ConfigError:
    text = str(error).strip()
    is_version = "ersion" in text and "mismatch" in text.lower()
    return ConfigError(
        f"the Ray at {address} runs another version" if is_version else f"no Ray can be used at {address}",
        where=f"compute: {address}",
        expected=text,
        fix="install the same versions of Python and Ray on both sides"
        if is_version
        else "start one (ray start --head), or let one be started for the run: --compute ray",
    )


def _refuse_elsewhere(ray: Any, compute: str, *, is_ours: bool) -> None:
    """Refuse an address other than that of the Ray which this process is connected to already."""
    if is_ours or compute in (RAY, AUTO):
        return
    known = ray.get_runtime_context().gcs_address
    if compute != known:
        raise Conflict(
            f"this process is connected to the Ray at {known}, and cannot be to another at once",
            where=f"compute: {compute}",
            fix="leave it first: ray.shutdown()",
        )
