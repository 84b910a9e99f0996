"""What it costs to start: CPU of `--help`, of `import pilothouse`, and the packages of the core install.

Run it as `python benchmarks/startup.py [--core]`; with `--core` it first makes a virtual environment that holds the
core install alone, because reading the entry points of many packages is part of the cost.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMES = 15


def cpu(command: list[str]) -> float:
    """Return the median CPU seconds of a command over several runs, after one to warm the disk's cache."""
    found = []
    for _ in range(TIMES + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(found[1:])


def core_environment(folder: Path) -> Path:
    """Install the core alone into ``folder`` and return its `bin`."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--constraint", str(constraints(folder)), str(ROOT)], check=True)
    return folder / "bin"


def constraints(folder: Path) -> Path:
    """Write the locked versions without their hashes, which pip does not take as constraints."""
    lines = (ROOT / "requirements" / "demo.txt").read_text().splitlines()
    path = folder / "constraints.txt"
    path.write_text("\n".join(line.removesuffix(" \\") for line in lines if line[:1].isalpha()))
    return path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", action="store_true", help="measure in an environment with the core install alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = core_environment(Path(folder)) if arguments.core else Path(sys.executable).parent
        python = str(place / "python")
        bare = cpu([python, "-c", "pass"])
        listing = subprocess.run(
            [python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
        )
        packages = [name for name in listing.stdout.split() if name.split("==")[0] not in {"pip", "setuptools"}]
        print(f"bare python           {bare * 1000:6.0f} ms CPU")
        print(f"import pilothouse     {cpu([python, '-c', 'import pilothouse']) * 1000:6.0f} ms CPU   (bar: 100)")
        print(f"pilothouse --help     {cpu([str(place / 'pilothouse'), '--help']) * 1000:6.0f} ms CPU   (bar: 150)")
        print(f"packages              {len(packages) - 1:6d} besides Pilothouse itself (bar for the core: 30)")


if __name__ == "__main__":
    main()
