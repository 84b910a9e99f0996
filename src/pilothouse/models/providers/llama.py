"""llama.cpp's own server inside this process, by way of `xllamacpp`: one loaded model and its threads.

The server insists on a listener. It gets a socket in a private folder that is removed as soon as the model is loaded,
so nothing can connect to it; where there are no such sockets, 127.0.0.1 and a random key that is told to nobody.
"""

from __future__ import annotations

import atexit
import importlib
import mmap
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from pilothouse.core.errors import ModelError, UserError

Operation = Literal["chat", "complete"]
Sink = Callable[[bytes], bool]

BATCH: Final = 32
"""Most tokens of a prompt computed at once.

A bigger batch goes through another kernel, whose sums differ in the last bit: then the answer to a row depends on
which rows ran before it and beside it. Measured on x86-64 with SmolLM2-135M: with 64 or 512, up to 8 of 32 texts
changed with the order of the calls; with 32 none did, whatever the order, the concurrency or the cache, for 5 to 10 %
more CPU.
"""

_LONGEST_SOCKET_PATH: Final = 100
_LONGEST_HEAD: Final = 64 << 20
_TEMPLATE: Final = b"tokenizer.chat_template"


class EngineOptions(Struct, frozen=True, kw_only=True):
    """What tells two loaded models apart.

    Attributes:
        path: The GGUF file.
        context: Tokens one call can use.
        parallel: Calls at once.
        threads: Threads that compute.
        embedding: Whether it makes vectors; it then makes nothing else.
    """

    path: Path
    context: int
    parallel: int
    threads: int
    embedding: bool = False


def default_threads() -> int:
    """Return the cores this process may use, minus one, at least one.

    With a thread on every core, one other busy process slows the model down ten times: each step waits for the last.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        cores = os.cpu_count() or 1
    return max(cores - 1, 1)


class Engine:
    """One loaded model. Calls run on its threads, as many at once as it has slots; the others wait in line.

    Attributes:
        threads: Where calls run.
        knows_tools: Whether the model's template has a place for tools; llama.cpp leaves them out where it has none.

    Raises:
        UserError: when `xllamacpp` is not installed, or the file cannot be loaded.
    """

    def __init__(self, options: EngineOptions) -> None:
        self.threads = ThreadPoolExecutor(options.parallel, thread_name_prefix="local-model")
        self._server: Any = _load(options)
        self.knows_tools = b"tools" in template_of(options.path)
        self._stopping = threading.Event()

    def run(self, operation: Operation, payload: bytes, sink: Sink) -> None:
        """Make one call and hand each event, a JSON text, to ``sink``; a true answer ends the call.

        The call cannot be ended while the prompt is read, only with the next piece of the answer.

        Raises:
            ModelError: when llama.cpp refuses the request.
        """

        def receive(event: bytes) -> bool:
            return sink(event) or self._stopping.is_set()

        server = self._server
        handle = server.handle_chat_completions if operation == "chat" else server.handle_completions
        try:
            handle(payload, receive)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the local model refused the request: {error}", status=400) from error

    def embed(self, payload: bytes) -> bytes:
        """Return the answer, a JSON text, to an embedding call.

        Raises:
            ModelError: when llama.cpp refuses the request.
        """
        try:
            return self._server.handle_embeddings(payload)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the local model refused the request: {error}", status=400) from error

    def close(self) -> None:
        """End the calls under way and free the memory."""
        self._stopping.set()
        self.threads.shutdown(wait=True, cancel_futures=True)
        self._server = None


class EnginePool:
    """Loads each model once per process, for all who use it, and frees it with the last of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[EngineOptions, tuple[Engine, int]] = {}

    def acquire(self, options: EngineOptions) -> Engine:
        """Return the loaded model; each call is paired with one of ``release``."""
        with self._lock:
            engine, users = self._engines.get(options) or (Engine(options), 0)
            self._engines[options] = (engine, users + 1)
            return engine

    def release(self, options: EngineOptions) -> None:
        """Give one use back."""
        with self._lock:
            engine, users = self._engines.pop(options)
            if users > 1:
                self._engines[options] = (engine, users - 1)
            else:
                engine.close()

    def close(self) -> None:
        """Free every model, in use or not."""
        with self._lock:
            for engine, _ in self._engines.values():
                engine.close()
            self._engines.clear()


SHARED: Final = EnginePool()
"""Weights are hundreds of megabytes: a second copy in one process helps nobody."""

atexit.register(SHARED.close)


def _load(options: EngineOptions) -> Any:
    try:
        xllamacpp: Any = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise UserError(
            "local models need the package xllamacpp, which is not installed", fix='pip install "pilothouse[local]"'
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(options.path)
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_parallel = options.parallel
    params.n_ctx = options.context * options.parallel
    # A text for embedding must fit into one batch.
    params.n_batch = params.n_ubatch = options.context if options.embedding else BATCH
    params.embedding = options.embedding
    params.kv_unified = False
    params.use_jinja = True
    params.offline = True
    params.ui = False
    params.endpoint_slots = False
    params.n_threads_http = 1
    params.verbosity = -1
    # Prompts stay cached in their slots; the second cache, in memory, grows to gigabytes and gained nothing.
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.api_keys = [secrets.token_urlsafe(32)]
    private = Path(tempfile.mkdtemp(prefix="pilothouse-"))
    try:
        path = str(private / "model.sock")
        if hasattr(socket, "AF_UNIX") and len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            params.hostnames = [path]
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise UserError(
            "the model cannot be loaded",
            where=str(options.path),
            expected="a whole GGUF file of a kind that llama.cpp knows, and memory for it and its context",
            fix="pull or download the file again, or lower models.local.context and models.local.parallel",
        ) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)


def template_of(path: Path) -> bytes:
    """Return a model's own template of conversations; empty for none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_TEMPLATE, 0, _LONGEST_HEAD)
        if at < 0:
            return b""
        # A key is followed by the kind of its value (4 bytes), and a text by its length.
        begin = at + len(_TEMPLATE) + 4
        length = int.from_bytes(data[begin : begin + 8], "little")
        return data[begin + 8 : begin + 8 + min(length, _LONGEST_HEAD)]
