"""Questions to the ledger from a process that serves: asked in a process of its own.

The engine that reads the ledger takes a hundred megabytes, which a worker would keep for ever; a process gives them
back.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from pilothouse.core import plugins
from pilothouse.core.errors import PilothouseError, StorageError
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import TenantSpend

_MODULE = "pilothouse.gateway.ledger.apart"
_SECONDS = 600


def spent_apart(root: Path, since_ns: int) -> list[TenantSpend]:
    """Return what calls since a moment used, as ``LedgerService.spent`` does; what was flushed is counted.

    Raises:
        StorageError: when the ledger cannot be read.
    """
    return msgspec.json.decode(_ask(root, since_ns), type=list[TenantSpend])


def _ask(root: Path, since_ns: int) -> bytes:
    command = [sys.executable, "-m", _MODULE, str(root), str(since_ns)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StorageError(f"the ledger could not be asked: {error}", where=str(root)) from error
    if done.returncode:
        words = done.stderr.decode("utf-8", "replace").strip()[-2000:]
        raise StorageError(f"the ledger could not be asked: {words or done.returncode}", where=str(root))
    return done.stdout


def main(root: str, since_ns: str) -> int:
    """Answer one question on standard output."""
    try:
        with plugins.load("workspaces", "project")(Path(root)) as workspace:
            ledger: LedgerService = workspace.get(LedgerService)
            sys.stdout.buffer.write(msgspec.json.encode(ledger.spent(int(since_ns))))
    except PilothouseError as error:
        sys.stderr.write(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
