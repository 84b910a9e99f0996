"""The warden: a small process that starts workers, tells how they end, and leaves none behind.

It has one thread and runs no code of the user's, so it may fork: a worker costs milliseconds, all imports are made. It
never outlives its parent: when the parent is gone, by whatever signal, its socket ends and the warden kills every
worker's process group, the processes that tools have started in it included.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from types import FrameType

from pilothouse.experiments.runs.isolation.worker import work

#: From the parent: a verb and a process; with START comes the worker's end of its channel.
ORDER = struct.Struct(">ci")
#: To the parent: what happened, to which process, and its exit code (negative: a signal).
NEWS = struct.Struct(">cii")

START, KILL, DIED = b"S", b"K", b"D"

_PR_SET_PDEATHSIG = 1


class _Warden:
    """The state of the process.

    Args:
        parent: Where orders come from.
        program: The command of a fresh interpreter; None to fork this one.
    """

    def __init__(self, parent: socket.socket, program: list[str] | None) -> None:
        self._parent = parent
        self._program = program
        self._workers: set[int] = set()
        self._ended, self._wake = socket.socketpair()
        for end in (self._ended, self._wake):
            end.setblocking(False)

    def watch(self) -> None:
        """Serve until the parent is gone, then kill all that is left."""
        signal.signal(signal.SIGCHLD, _nothing)  # one that is heard wakes `select`
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        with suppress(ConnectionError):
            while True:
                ready, _, _ = select.select([self._parent, self._ended], [], [])
                if self._ended in ready:
                    self._ended.recv(4096)
                    self._bury()
                if self._parent in ready and not self._obey():
                    break
        for worker in self._workers:
            _kill(worker)

    def _obey(self) -> bool:
        """Do what the parent says; return whether it is still there."""
        data, ends, _, _ = socket.recv_fds(self._parent, ORDER.size, 1)
        if len(data) < ORDER.size:
            return False
        verb, worker = ORDER.unpack(data)
        if verb == START:
            self._start(ends[0])
        elif worker in self._workers:
            _kill(worker)
        return True

    def _start(self, channel: int) -> None:
        me = os.getpid()
        worker = os.fork()
        if worker == 0:
            self._become_worker(channel, me)
        os.close(channel)
        self._workers.add(worker)
        self._parent.sendall(NEWS.pack(START, worker, 0))

    def _become_worker(self, channel: int, warden: int) -> None:
        try:
            # A session of its own: Ctrl-C on the terminal is for the parent, and one signal reaches all its processes.
            os.setsid()
            _die_with(warden)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._parent, self._ended, self._wake):
                end.close()
            # A tool that reads its standard input finds it empty: the terminal is the parent's. What it prints goes to
            # standard error, so that the parent's own output can be read by programs.
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            if self._program is not None:
                os.set_inheritable(channel, True)
                os.execv(self._program[0], [*self._program, str(channel)])  # noqa: S606 - this very interpreter
            work(channel)
        finally:
            os._exit(1)

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            while True:
                worker, status = os.waitpid(-1, os.WNOHANG)
                if worker == 0:
                    return
                self._workers.discard(worker)
                kill_group(worker)  # what its tools have started
                self._parent.sendall(NEWS.pack(DIED, worker, os.waitstatus_to_exitcode(status)))


def _nothing(_number: int, _frame: FrameType | None) -> None:
    return None


def kill_group(worker: int) -> None:
    """Kill a worker and the processes that its tools have started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)


def _kill(worker: int) -> None:
    kill_group(worker)
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)  # it may have been born just now, without a group of its own


def _die_with(warden: int) -> None:
    """Have Linux kill this process when the warden ends, even by `kill -9`; elsewhere its channel's end tells it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != warden:
            os._exit(1)


def main(parent: int, program: list[str] | None) -> None:
    """Be the warden.

    Args:
        parent: Descriptor of the socket to the parent.
        program: The command of a fresh interpreter for each worker; None to fork this one.
    """
    gc.collect()
    gc.freeze()  # what is here now is shared by all workers, and no collection of theirs touches it
    _Warden(socket.socket(fileno=parent), program).watch()
