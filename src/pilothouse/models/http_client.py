"""How HTTP clients are made: with a thread that never interrupts the one that runs Python.

All clients of a process share one thread, which is woken for each piece that arrives. Where it takes the processor from
the event loop for that, it soon waits for the interpreter that the loop still holds: two changes of thread for nothing.
In the scheduler's class for batches it begins when the loop pauses, or beside it on another core. Measured under load,
a call costs a quarter less.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache

from pyreqwest.client import ClientBuilder


def client_builder() -> ClientBuilder:
    """Return a builder of HTTP clients."""
    _start_thread()
    return ClientBuilder()


@lru_cache(maxsize=1)
def _start_thread() -> None:
    if not hasattr(os, "SCHED_BATCH"):
        return  # not Linux
    # Not every container lets its threads be scheduled otherwise: then all is as it was, and a little slower.
    with suppress(OSError):
        policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        try:
            ClientBuilder().build()  # the first one starts the thread, which inherits the class of its maker
        finally:
            os.sched_setscheduler(0, policy, parameters)
