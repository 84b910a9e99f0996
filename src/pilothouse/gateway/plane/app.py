"""The gateway's door: ASGI in, one call at a time; no framework stands between the server and the call."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, Final

import msgspec

from pilothouse.gateway.dialects.endpoints import Endpoint, dialect_of, endpoint
from pilothouse.gateway.plane.call import Call
from pilothouse.gateway.plane.client import Client, Send
from pilothouse.gateway.plane.intake import ClientGone, Receive, authenticate, read_body, tenant_of, understand
from pilothouse.gateway.plane.serve import Parts, Serving
from pilothouse.gateway.plane.snapshot import Snapshot
from pilothouse.gateway.refusals import Refusal

DISCONNECT: Final = "pilothouse.disconnect"
"""An extension of the scope: the server calls ``scope["pilothouse.gone"]`` when the client goes away."""

RECEIVED: Final = "pilothouse.received"
"""A key of the scope: what the server has received of the request; see ``Received``."""


class Gone:
    """Ends a call whose client went away."""

    __slots__ = ("_task", "came_true", "is_over")

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self.came_true = False
        self.is_over = False

    def __call__(self) -> None:
        """Take note; called by the server at most once a call."""
        if not self.is_over and self._task is not None:
            self.came_true = True
            self._task.cancel()


class Plane:
    """Serves `/v1` and its like.

    Args:
        parts: What every call uses.
        snapshot: What decides.

    Attributes:
        snapshot: Put a new one here to change the configuration; calls under way keep theirs.
        is_draining: Whether new calls are turned away.
    """

    def __init__(self, parts: Parts, snapshot: Snapshot) -> None:
        self._parts = parts
        self.snapshot = snapshot
        self.is_draining = False

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._parts.metrics.in_flight

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            asked = endpoint(scope["method"], path)
        except Refusal as refusal:
            call = Call(Endpoint(operation="raw", wire="openai.raw", dialect=dialect_of(path)), headers, self.snapshot)
            await Client(send, call).refuse(refusal)
            self._parts.metrics.incident(refusal.code)
            return
        if asked.operation == "raw" or asked.body == "form":
            query = scope.get("query_string", b"").decode("latin-1")
            headers[":method"] = scope["method"]
            headers[":path"] = asked.path.removeprefix("/v1/") + (f"?{query}" if query else "")
        call = Call(asked, headers, self.snapshot)
        metrics = self._parts.metrics
        metrics.in_flight += 1
        try:
            await self._serve(call, scope, receive, send)
        finally:
            metrics.in_flight -= 1

    async def _serve(self, call: Call, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        client, gone, serving = Client(send, call), Gone(), None
        watcher: asyncio.Task[None] | None = None
        try:
            self._admit(call)
            if call.endpoint.resource == "models":
                await self._models(call, client)
                return
            settings = call.snapshot.settings
            begun = time.perf_counter_ns()
            try:
                call.raw = await read_body(
                    receive,
                    call.headers,
                    settings.max_body,
                    settings.head_timeout,
                    deadlines=self._parts.deadlines,
                    received=scope.get(RECEIVED),
                )
            finally:
                call.waited += time.perf_counter_ns() - begun
            watcher = _watch(scope, receive, gone)
            understand(call)
            serving = Serving(call, self._parts, client)
            await serving.run()
        except Refusal as refusal:
            call.status = "cut" if client.started else "failed" if call.attempts else "refused"
            await client.refuse(refusal)
            if refusal.rule:
                self._parts.metrics.limited(refusal.rule)
            if call.endpoint.resource == "models":
                self._parts.metrics.incident(refusal.code)
        except ClientGone:
            call.status, call.code = "cancelled", "client_gone"
        except asyncio.CancelledError:
            call.status, call.code = "cancelled", "client_gone"
            if not gone.came_true:
                raise
        except Exception:  # noqa: BLE001
            # At the door: whatever it is, the client is told in its dialect, and the operator in full.
            sys.stderr.write(traceback.format_exc())
            call.status = "cut" if client.started else "failed"
            await client.refuse(
                Refusal("internal_error", "the gateway failed; its operator finds the reason in its log")
            )
        finally:
            gone.is_over = True
            if watcher is not None:
                watcher.cancel()
            if call.endpoint.resource != "models":
                if serving is not None:
                    serving.findings()
                await self._parts.settlement.end(call, serving.relay if serving else None)
                self._capture(call, serving)

    def _admit(self, call: Call) -> None:
        """Look at the key, and whether calls are taken at all."""
        if self.is_draining:
            raise Refusal("draining", "this gateway is ending; ask another, or again in a moment", retry_after=1.0)
        call.key = authenticate(call.snapshot, call.headers, call.at_ns)
        if call.key is not None:
            call.tenant = tenant_of(call.key)
            self._parts.used_keys.add(call.key.id)

    def _capture(self, call: Call, serving: Serving | None) -> None:
        recorder = call.snapshot.capture
        if recorder is None or serving is None:
            return
        recorder.record(
            call.id,
            call.at_ns,
            wire=call.endpoint.wire,
            path=call.endpoint.path,
            headers=call.headers,
            request=call.raw,
            answer=b"".join(serving.sent or ()),
        )

    async def _models(self, call: Call, client: Client) -> None:
        """Answer what may be asked for with this key."""
        key, wanted = call.key, call.endpoint.item
        names = sorted(
            name for name, route in call.snapshot.routes.items() if key is None or key.allows_model(route.name)
        )
        if wanted and wanted not in names:
            raise Refusal("model_not_found", f"there is no model '{wanted[:200]}' here, or none for this key")
        body: Any = _model(wanted) if wanted else _models(names)
        await client.whole(200, "application/json", msgspec.json.encode(body))


def _model(name: str) -> Mapping[str, Any]:
    """Return a model as the clients of OpenAI and of Anthropic read it: each leaves the other's fields alone."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "pilothouse",
        "type": "model",
        "display_name": name,
        "created_at": "1970-01-01T00:00:00Z",
    }


def _models(names: Sequence[str]) -> Mapping[str, Any]:
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return {"object": "list", "data": [_model(name) for name in names], "has_more": False, **ends}


def _watch(scope: MutableMapping[str, Any], receive: Receive, gone: Gone) -> asyncio.Task[None] | None:
    """Have the call ended when its client goes: by the server's word, or by a task where the server has none."""
    if DISCONNECT in scope.get("extensions", {}):
        scope["pilothouse.gone"] = gone
        return None
    return asyncio.ensure_future(_wait_for_end(receive, gone))


async def _wait_for_end(receive: Receive, gone: Gone) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone()
