"""What `pilothouse migrate check` costs: CPU of the whole process for fifty mixed projects, and of the check alone.

Run it as `python benchmarks/migration.py [--projects 50]`.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.experiments.migration.projects import mixed_projects  # noqa: E402

from pilothouse.experiments.migration.check import check_folder  # noqa: E402

TIMES = 5
COMMAND = "from pilothouse.experiments.migration.commands import migrate; migrate()"


def process_cpu(folder: Path) -> float:
    """Return the CPU seconds of one process that checks ``folder`` and prints its report, start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", COMMAND, "check", str(folder)], capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # 1: the mixed projects hold some that need a change.
    assert done.returncode == 1, done.stderr.decode()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def check_cpu(folder: Path) -> float:
    """Return the CPU seconds of the check alone, in this process."""
    before = time.process_time()
    check_folder(folder)
    return time.process_time() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=50)
    projects = parser.parse_args().projects
    with tempfile.TemporaryDirectory() as name:
        folder = mixed_projects(Path(name), projects)
        counts = check_folder(folder).counts
        whole = statistics.median(process_cpu(folder) for _ in range(TIMES))
        alone = statistics.median(check_cpu(folder) for _ in range(TIMES))
    print(f"{projects} projects, {sum(counts.values())} files: {counts}")
    print(f"whole process         {whole:6.2f} s CPU   (bar: 2)")
    print(f"the check alone       {alone:6.2f} s CPU")


if __name__ == "__main__":
    main()
