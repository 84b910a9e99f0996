"""Prompt flow's names for scripts and notebooks: `import pilothouse.promptflow` before `import promptflow`.

An unchanged script is run by ``python -m pilothouse.promptflow script.py [arguments]``. Where prompt flow itself is
installed, that is what answers, and a warning says so.
"""

from __future__ import annotations

import runpy
import sys
import warnings
from pathlib import Path

from pilothouse.flows.promptflow.finder import FINDER, installed

_USAGE = "usage: python -m pilothouse.promptflow SCRIPT.py [ARGUMENT]..."


def offer() -> str | None:
    """Answer imports of prompt flow from now on, for as long as the process lives.

    Returns:
        Name and version of the real package where it is installed: then nothing was done.
    """
    found = installed()
    if found is None:
        FINDER.hold()
    return found


def run_script(arguments: list[str]) -> int:
    """Run a script with its arguments, prompt flow's names at its service; return the exit code for the command."""
    if not arguments or arguments[0].startswith("-"):
        print(_USAGE, file=sys.stderr)  # noqa: T201 - a command's own words
        return 2
    script = Path(arguments[0])
    if not script.is_file():
        print(f"there is no script {script}\n{_USAGE}", file=sys.stderr)  # noqa: T201
        return 2
    sys.argv = arguments
    # As Python does for a script: its own folder comes first.
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")
    return 0


_REAL = offer()
if _REAL is not None:
    warnings.warn(
        f"{_REAL} is installed, and answers in place of Pilothouse; uninstall it to leave the answer to Pilothouse",
        stacklevel=2,
    )

if __name__ == "__main__":
    sys.exit(run_script(sys.argv[1:]))
