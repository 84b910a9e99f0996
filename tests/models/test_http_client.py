"""The thread of HTTP clients: it lets Python go on, and its maker is scheduled as before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os
from pathlib import Path
from pilothouse.models.http_client import client_builder

def policies():
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    return sorted(((Path(f"/proc/self/task/{task}/comm").read_text().strip() == "pyreqwest"), os.sched_getscheduler(task))
                  for task in tasks)

client_builder().build()
client_builder().build()
assert policies() == [(False, os.SCHED_OTHER), (True, os.SCHED_BATCH)], policies()
"""


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux schedules batches")
def test_the_thread_waits_for_the_loop_and_nobody_else_does() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux schedules batches")
def test_where_it_may_not_be_scheduled_otherwise_clients_are_made_all_the_same() -> None:
    code = """
import os
def refused(*_): raise PermissionError(1, "no")
os.sched_setscheduler = refused
from pilothouse.models.http_client import client_builder
client_builder().build()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
