"""`flex`: writes a flow.flex.yaml and its Python files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ..building import write

Flex = Callable[..., Path]


@pytest.fixture
def flex(tmp_path: Path) -> Flex:
    def make(code: str, yaml: str = "entry: main:run", **files: str) -> Path:
        texts = {name.replace("__", "/") + ".py": text for name, text in files.items()}
        return write(tmp_path / "flow", {"flow.flex.yaml": yaml, "main.py": code, **texts})

    return make
