"""Questions to the ledger from a process that serves: asked in a process of its own.

The engine that reads the ledger takes a hundred megabytes, which a worker would keep for ever; a process gives them
back.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from pilothouse.core.errors import StorageError
from pilothouse.gateway.ledger.children import Child, serve_parent
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import TenantSpend

_MODULE = "pilothouse.gateway.ledger.apart"
_SECONDS = 600.0


def spent_apart(root: Path, since_ns: int) -> list[TenantSpend]:
    """Return what calls since a moment used, as ``LedgerService.spent`` does; what was flushed is counted.

    Raises:
        StorageError: when the ledger cannot be read.
    """
    with Child(_MODULE, str(root), str(since_ns)) as child:
        ended = child.wait(_SECONDS)
    if ended.code:
        raise StorageError(f"the ledger could not be asked: {ended.words or ended.code}", where=str(root))
    return msgspec.json.decode(ended.output, type=list[TenantSpend])


def main(root: str, since_ns: str) -> int:
    """Answer one question on standard output."""
    return serve_parent(root, lambda services: msgspec.json.encode(services.get(LedgerService).spent(int(since_ns))))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
