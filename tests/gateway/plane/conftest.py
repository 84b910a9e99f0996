"""One gateway for the whole room: virtual keys, limits of every kind, routes in two dialects, short patience."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import pytest

from pilothouse.access.keys.ring import KeyRing
from pilothouse.access.keys.types import Key, KeySecret
from pilothouse.gateway.settings import (
    CallRetries,
    CallTimeouts,
    DeploymentSettings,
    GatewaySettings,
    LimitRule,
    RouteSettings,
)

from ..running import UPSTREAM_SECRET
from ..threaded import Bench, bench, in_thread
from .wire import Reply, Wire

CALLER: Final = "ph-the-callers-own-secret-0123456789"
EXPIRED: Final = "ph-expired-secret-0123456789"
REVOKED: Final = "ph-revoked-secret-0123456789"
NARROW: Final = "ph-narrow-secret-0123456789"
SECRETS: Final = (UPSTREAM_SECRET, CALLER, EXPIRED, REVOKED, NARROW)
MOST_BODY: Final = 1 << 20
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def key_ring() -> KeyRing:
    """Return a ring with one key of each kind."""
    known: dict[str, dict[str, Any]] = {
        CALLER: {},
        EXPIRED: {"expires_at": START},
        REVOKED: {"revoked_at": START},
        NARROW: {"models": ("chat",), "operations": ("embeddings",)},
    }
    keys = [
        Key(id=f"id{place}", name=f"key{place}", prefix="ph-x", created_at=START, created_by="test", **what)
        for place, what in enumerate(known.values())
    ]
    secrets = [
        KeySecret(
            digest=sha256(text.encode()).hexdigest(), key=key.id, prefix="ph-x", created_at=START, created_by="test"
        )
        for text, key in zip(known, keys, strict=True)
    ]
    return KeyRing(1, keys, secrets)


def gateway_settings() -> GatewaySettings:
    def route(model: str, connection: str = "openai", first: float = 15.0) -> RouteSettings:
        return RouteSettings(
            deployments=(DeploymentSettings(connection=connection, model=model),),
            retries=CallRetries(attempts=1),
            timeouts=CallTimeouts(first_token=first, idle=first, total=30.0),
        )

    faults = ("lielength", "html", "nousage", "usagetwice", "badutf8", "emptybody", "malformed", "cut@2", "disconnect")
    return GatewaySettings(
        access="keys",
        max_body=MOST_BODY,
        head_timeout=0.6,
        routes={
            "chat": route("mock-tokens=4"),
            "claude": route("mock-tokens=4", "anthropic"),
            "slow": route("mock-tokens=50-pace=40"),
            "hang": route("mock-fault=hang-tokens=4"),
            **{f"up.{fault}": route(f"mock-tokens=6-fault={fault}") for fault in faults},
        },
        limits=(
            LimitRule(name="at-once", each="key", concurrency=500),
            LimitRule(name="tokens", each="key", tokens=10**12),
            LimitRule(name="money", each="key", dollars=10**9, per="month"),
        ),
    )


@pytest.fixture(scope="module")
def served() -> Iterator[Bench]:
    """A gateway that listens."""
    kinds = {"openai": "open_ai", "anthropic": "anthropic"}
    with in_thread(lambda: bench(gateway_settings(), kinds, key_ring())) as made:
        yield made


class Door:
    """Asks the gateway and looks at everything that a call leaves behind."""

    def __init__(self, served: Bench) -> None:
        self.served = served
        self.port = served.port

    def counted(self, code: str) -> float:
        """Return how often a code was counted: as an incident, or as the code of a call that had a key."""
        found = 0.0
        for metric in self.served.gateway.metrics.registry.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total") and code in (sample.labels.get("code"), sample.labels.get("kind")):
                    found += sample.value
        return found

    def refused(self, data: bytes, status: int, code: str, *, counted: str = "") -> Reply:
        """Send bytes; the answer must be this refusal, in its dialect's shape, counted, and hold nothing back."""
        before = self.counted(counted or code)
        with Wire(self.port) as wire:
            wire.send(data)
            reply = wire.reply()
        assert (reply.status, reply.body and reply.code) == (status, code), reply
        self.left_nothing(reply.body)
        assert self.counted(counted or code) > before, "the refusal was not counted"
        self.well_formed(reply, anthropic=b"/v1/messages" in data.split(b"\r\n", 1)[0])
        return reply

    def left_nothing(self, *told: bytes) -> None:
        """No reservation is held, and no secret was told or recorded."""
        self.served.settle()
        assert self.served.held() == []
        entries = self.served.gateway.ledger.entries
        spans = self.served.spans.get_finished_spans()
        heard = b"".join(told).decode("utf-8", "replace")
        recorded = heard + "".join(map(repr, entries[-20:])) + "".join(span.to_json() for span in spans[-20:])
        assert not [secret for secret in SECRETS if secret in recorded]

    def sane(self) -> None:
        """The gateway still does what it is for."""
        from .wire import ask, request

        body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}
        assert ask(self.port, request(body=body, key=CALLER)).status == 200

    @staticmethod
    def well_formed(reply: Reply, *, anthropic: bool) -> None:
        """The error has the shape that the dialect's own client reads."""
        error = reply.json["error"]
        assert isinstance(error["message"], str)
        assert error["message"]
        assert isinstance(error["type"], str)
        if anthropic:
            assert reply.json["type"] == "error"
        else:
            assert set(error) >= {"message", "type", "param", "code"}


@pytest.fixture
def door(served: Bench, capsys: pytest.CaptureFixture[str]) -> Iterator[Door]:
    """The gateway, asked; afterwards its log holds no secret and no defect, and it still answers."""
    found = Door(served)
    yield found
    found.sane()
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said, said
    assert not [secret for secret in SECRETS if secret in said]
