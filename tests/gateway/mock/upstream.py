"""The mock upstream itself, within the running loop or as a process of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections import Counter, deque
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from .behaviour import Behaviour
from .bill import Bill, Prices, Used
from .endpoints import Planned, Request, Served, error, plan, served
from .plans import Plan, encode
from .protocol import MockProtocol

ROOT = Path(__file__).parents[3]
KEPT = 4096  # plans of requests that came before
SHORT = 16_384  # bytes of a request whose plan is kept


class MockUpstream:
    """A provider on the loopback that does what the model's name says.

    Attributes:
        bill: What it charges.
        requests: The newest ones, as they arrived; empty where `itemised` is false.
        url: Such as `http://127.0.0.1:40123`; `/v1` is not part of it.
    """

    def __init__(
        self, prices: dict[str, Prices] | None = None, *, host: str = "127.0.0.1", port: int = 0, itemised: bool = True
    ) -> None:
        self.bill = Bill(prices, itemised=itemised)
        self.requests: deque[Request] = deque(maxlen=10_000)
        self.connections: set[asyncio.Transport] = set()
        self.url = ""
        self._address = (host, port)
        self._failed: Counter[tuple[str, bytes]] = Counter()
        self._plans: dict[tuple[str, bytes, bytes], Planned] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> MockUpstream:
        loop = asyncio.get_running_loop()
        host, port = self._address
        self._server = await loop.create_server(lambda: MockProtocol(self), host, port, backlog=4096)
        self.url = f"http://{host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for transport in list(self.connections):
            transport.abort()
        # What was aborted is told so in the loop's next turn; until then its sockets are open.
        while self.connections:
            await asyncio.sleep(0)
        await self._server.wait_closed()

    def reset(self) -> None:
        """Forget the bill, the requests, and how often faults have happened."""
        self.bill.reset()
        self.requests.clear()
        self._failed.clear()

    def serve(self, request: Request) -> Served:
        """Decide how a request is answered, and put it on the bill."""
        if request.path.startswith("/__"):
            return Served(plan=self._control(request), behaviour=Behaviour())
        try:
            planned = self._planned(request)
        except LookupError as missing:
            return self._refused(request, 404, f"no such endpoint: {missing}")
        except (ValueError, msgspec.DecodeError) as problem:
            return self._refused(request, 400, str(problem))
        headers = request.headers
        given = headers.get(b"x-request-id") or headers.get(b"idempotency-key") or b""
        line = self.bill.open(
            planned.model,
            request.path,
            stream=planned.stream,
            client_id=given.decode("latin-1"),
            told=planned.text,
        )
        if self.bill.itemised:
            self.requests.append(request)
        return served(request, planned, self._told(request, planned), line)

    def _planned(self, request: Request) -> Planned:
        key = (request.path, request.headers.get(b"x-mock", b""), request.body)
        if (known := self._plans.get(key)) is not None:
            return known
        planned = plan(request)
        if len(request.body) <= SHORT:
            if len(self._plans) >= KEPT:
                self._plans.clear()
            self._plans[key] = planned
        return planned

    def _told(self, request: Request, planned: Planned) -> Behaviour:
        """Leave the fault out where it has happened often enough."""
        told = planned.told
        if told.fault and told.times is not None:
            key = (planned.text, request.headers.get(b"authorization") or request.headers.get(b"x-api-key") or b"")
            self._failed[key] += 1
            if self._failed[key] > told.times:
                return msgspec.structs.replace(told, fault="")
        return told

    def _refused(self, request: Request, status: int, message: str) -> Served:
        line = self.bill.open("", request.path, stream=False, client_id="")
        return Served(
            plan=error(status, message, anthropic=request.anthropic), behaviour=Behaviour(), status=status, line=line
        )

    def _control(self, request: Request) -> Plan:
        """Answer at `/__bill`, `/__requests`, `/__prices` (POST) and `/__reset` (POST)."""
        found: Any = {}
        match request.path:
            case "/__bill":
                found = self.bill.report()
            case "/__requests":
                found = [
                    {
                        "method": one.method,
                        "path": one.path,
                        "headers": {
                            name.decode("latin-1"): value.decode("latin-1") for name, value in one.headers.items()
                        },
                        "body": one.body.decode("utf-8", "replace"),
                    }
                    for one in self.requests
                ]
            case "/__prices":
                self.bill.prices |= msgspec.json.decode(request.body, type=dict[str, Prices])
            case "/__reset":
                self.reset()
        return Plan(body=encode(found), used=Used())


class MockProcess:
    """The mock as a process: `with MockProcess() as mock: mock.url`.

    Attributes:
        url: Its address.
        pid: Its process.
    """

    def __init__(self, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        self._command = [*prefix, sys.executable, "-m", "tests.gateway.mock", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.pid = 0

    def __enter__(self) -> MockProcess:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.pid = self._process.pid
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def bill(self) -> dict[str, Any]:
        """Return the bill."""
        return self._ask("/__bill")

    def requests(self) -> list[dict[str, Any]]:
        """Return the newest requests: method, path, headers, body."""
        return self._ask("/__requests")

    def price(self, prices: dict[str, Prices]) -> None:
        """Set prices of models."""
        self._ask("/__prices", json.dumps(prices).encode())

    def reset(self) -> None:
        """Forget all but the prices."""
        self._ask("/__reset", b"{}")

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        with urllib.request.urlopen(self.url + path, data=body, timeout=30) as answer:
            return json.load(answer)
