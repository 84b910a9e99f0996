"""Every row with all that is known of it, one JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from pilothouse.experiments.runs.rowcodec import encode_row
from pilothouse.experiments.runs.types import Run, RunRow


def write_jsonl(run: Run, rows: Callable[[], Iterator[RunRow]], folder: Path) -> None:
    """Write `rows.jsonl` and `metrics.json`."""
    with (folder / "rows.jsonl").open("wb") as sink:
        for row in rows():
            sink.write(encode_row(row) + b"\n")
    (folder / "metrics.json").write_bytes(msgspec.json.format(msgspec.json.encode(run.metrics), indent=2) + b"\n")
