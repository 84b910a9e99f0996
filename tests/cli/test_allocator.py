"""What a process tells the allocator of its HTTP client, before it is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import os, sys
from pilothouse.cli.main import main
sys.argv = ["pilothouse", "--version"]
try:
    main()
except SystemExit:
    print("pyreqwest" in sys.modules, os.environ["MIMALLOC_PURGE_DELAY"])
"""


@pytest.mark.parametrize(("given", "holds"), [({}, "0"), ({"MIMALLOC_PURGE_DELAY": "50"}, "50")])
def test_free_memory_goes_back_at_once_unless_it_is_set_otherwise(given: dict[str, str], holds: str) -> None:
    said = subprocess.run([sys.executable, "-c", CODE], env=given, check=True, capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == f"False {holds}"
