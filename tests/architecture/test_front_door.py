"""The front door: light to import, complete, and the core install stays small."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import pilothouse as ph

ROOT = Path(__file__).parents[2]
MOST_PACKAGES = 30


@pytest.mark.parametrize("name", ph.__all__)
def test_every_public_name_can_be_fetched(name: str) -> None:
    assert getattr(ph, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        ph.nothing_like_it  # noqa: B018


def test_importing_the_package_wakes_no_vendor() -> None:
    code = "import sys, pilothouse; print(sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for vendor in ("sqlalchemy", "duckdb", "numpy", "opentelemetry", "pydantic", "rich", "jinja2", "click", "asyncio"):
        assert f"'{vendor}'" not in loaded


def test_help_wakes_no_vendor() -> None:
    code = (
        "import sys\nfrom pilothouse.cli import main\n"
        "try:\n    main.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('LOADED', sorted({name.split('.')[0] for name in sys.modules}))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = output[output.index("LOADED") :]
    assert "experiment" in output
    for vendor in ("sqlalchemy", "duckdb", "numpy", "opentelemetry", "pydantic", "rich", "jinja2", "msgspec", "yaml"):
        assert f"'{vendor}'" not in loaded


def test_version_reads_no_package_metadata() -> None:
    code = (
        "import sys\nfrom pilothouse.cli import main\n"
        "try:\n    main.main(['--version'])\nexcept SystemExit:\n    pass\n"
        "print('importlib.metadata' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "False"


PROBE = """
inputs:
  text: {type: string}
outputs:
  seen: {type: object, reference: "${probe.output}"}
nodes:
  - name: probe
    type: python
    source: {type: code, path: probe.py}
    inputs: {text: "${inputs.text}"}
"""
PROBE_TOOL = """
import gc
import sys

from pilothouse import tool


@tool
def probe(text: str) -> dict:
    return {"woken": sorted(sys.modules), "collects": gc.isenabled(), "kept": gc.get_freeze_count()}
"""


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """Return a project whose flow `probe` tells what its process has imported."""
    (tmp_path / "pilothouse.yaml").write_text("{}\n")
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "flow.dag.yaml").write_text(PROBE)
    (tmp_path / "probe" / "probe.py").write_text(PROBE_TOOL)
    (tmp_path / "data.jsonl").write_text('{"text": "one"}\n')
    return tmp_path


def pilothouse(project: Path, *arguments: str) -> str:
    """Return what a command prints."""
    command = [sys.executable, "-m", "pilothouse", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout


def test_a_flow_without_templates_is_tried_without_database_and_jinja(probe: Path) -> None:
    line = json.loads(pilothouse(probe, "flow", "test", "probe", "--inputs", "text=one", "--json"))["lines"][0]
    seen = line["outputs"]["seen"]
    for vendor in ("sqlalchemy", "alembic", "duckdb", "numpy", "jinja2", "pydantic", "pyreqwest", "rich.progress"):
        assert vendor not in seen["woken"]
    assert seen["collects"]
    assert seen["kept"] > 0


def test_a_run_wakes_the_database_and_no_other_vendor_that_it_does_not_need(probe: Path) -> None:
    pilothouse(probe, "run", "create", "--flow", "probe", "--data", "data.jsonl", "--name", "first")
    seen = json.loads(pilothouse(probe, "run", "show-details", "first", "--json").splitlines()[0])["outputs.seen"]
    assert "sqlalchemy" in seen["woken"]
    for vendor in ("alembic", "duckdb", "numpy", "jinja2", "pydantic", "pyreqwest", "rich.progress"):
        assert vendor not in seen["woken"]


def core_packages() -> set[str]:
    """Return what the core install brings besides Pilothouse itself, on this platform."""
    found: set[str] = set()
    pending = list(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    while pending:
        requirement = Requirement(pending.pop())
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        extras = requirement.extras or {""}
        if name in found or (
            requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        ):
            continue
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue
        found.add(name)
        pending += [text for text in needed if _wanted(text, requirement.extras)]
    return found


def _wanted(text: str, extras: set[str]) -> bool:
    marker = Requirement(text).marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def test_the_core_install_is_small() -> None:
    assert len(core_packages()) <= MOST_PACKAGES, sorted(core_packages())


def test_the_lock_files_name_no_registry_and_pin_every_package() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith(("#", " "))]
        assert "://" not in path.read_text()
        assert all("==" in line for line in lines)
