"""Unchanged scripts of prompt flow: `python -m pilothouse.promptflow`, and one import for notebooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
import helper
from promptflow.client import PFClient
import promptflow

print(promptflow.__version__, sys.argv[1:], helper.NAME, __name__)
print(PFClient().test("flow", inputs={"question": "my parcel"}))
sys.exit(3)
"""


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_script_runs_as_it_is(project: Path) -> None:
    (project / "scripts").mkdir()
    (project / "scripts/main.py").write_text(SCRIPT)
    (project / "scripts/helper.py").write_text("NAME = 'helper'\n")
    done = python(project, "-m", "pilothouse.promptflow", "scripts/main.py", "a", "--b")
    assert done.returncode == 3, done.stderr
    assert done.stdout == "1.18.5 ['a', '--b'] helper __main__\n{'team': 'shipping!'}\n"


def test_one_import_is_enough(project: Path) -> None:
    done = python(
        project, "-c", "import pilothouse.promptflow\nfrom promptflow.core import Flow\nprint(Flow.load('flow')())"
    )
    assert done.stdout == "{'team': 'shipping!'}\n", done.stderr


def test_without_it_there_is_no_prompt_flow(project: Path) -> None:
    done = python(project, "-c", "import pilothouse\nimport promptflow")
    assert "No module named 'promptflow'" in done.stderr


def test_the_real_package_is_left_alone_with_a_warning(project: Path) -> None:
    site = project / "site"
    (site / "promptflow-1.18.5.dist-info").mkdir(parents=True)
    (site / "promptflow-1.18.5.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: promptflow\nVersion: 1.18.5\n"
    )
    (site / "promptflow").mkdir()
    (site / "promptflow/__init__.py").write_text("NAME = 'the real one'\n")
    text = f"import sys\nsys.path.insert(0, {str(site)!r})\nimport pilothouse.promptflow\nimport promptflow\nprint(promptflow.NAME)"
    done = python(project, "-c", text)
    assert done.stdout == "the real one\n", done.stderr
    assert "promptflow 1.18.5 is installed, and answers in place of Pilothouse" in done.stderr


def test_a_script_that_is_not_there_is_told(project: Path) -> None:
    for arguments in ((), ("none.py",), ("--help",)):
        done = python(project, "-m", "pilothouse.promptflow", *arguments)
        assert done.returncode == 2
        assert "usage: python -m pilothouse.promptflow" in done.stderr
        assert "Traceback" not in done.stderr
