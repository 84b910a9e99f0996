from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core.storage.sql import Database
from pilothouse.datasets.files import find_files, read_files
from pilothouse.datasets.readers.base import ReadOptions
from pilothouse.datasets.service import DatasetService

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(services: Any) -> Write:
    """Write a file below the project's folder."""

    def make(name: str, content: str | bytes) -> Path:
        path = services.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.fixture
def read() -> Callable[..., list[dict[str, Any]]]:
    """Read all rows of a file or folder."""

    def rows(path: Path, **options: str) -> list[dict[str, Any]]:
        return [record.data for record in read_files(find_files(path), ReadOptions(**options))]

    return rows


@pytest.fixture
def datasets(services: Any) -> DatasetService:
    """The datasets of a project on SQLite."""
    return services.get(DatasetService)


@pytest.fixture
def datasets_on_both(services: Any, database: Database) -> DatasetService:
    """The datasets of a project; the test runs on SQLite and on PostgreSQL."""
    services.put(database)
    return services.get(DatasetService)
