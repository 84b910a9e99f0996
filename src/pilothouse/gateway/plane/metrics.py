"""What Prometheus is told. Every label has few values: routes, deployments and codes are configured or fixed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pilothouse.core.extras import require
from pilothouse.gateway.plane.call import Call

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_RULES: Final = 256
"""Rules that have a figure of their own; configurations come and go, what Prometheus was told stays."""

_OVERHEAD: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1)


class _Route(NamedTuple):
    """The figures of one route, found once."""

    durations: Any
    overheads: Any
    firsts: Any
    read: Any
    written: Any
    cost: Any
    unpriced: Any


class Metrics:
    """Counters and histograms of one process.

    Attributes:
        in_flight: Calls under way.
    """

    def __init__(self) -> None:
        prometheus: Any = require("prometheus_client", extra="gateway", purpose="the gateway")
        # A second line for each counter, with the time it was made, tells nobody anything.
        prometheus.disable_created_metrics()
        self._library = prometheus
        self.registry: Any = prometheus.CollectorRegistry()
        self.in_flight = 0
        self._calls = self._counter("calls", "Calls by route, status and error code", ("route", "status", "code"))
        self._tokens = self._counter("tokens", "Tokens by route and kind", ("route", "kind"))
        self._cost = self._counter("cost_dollars", "Spend by route, where prices are known", ("route",))
        self._unpriced = self._counter("unpriced_calls", "Calls whose price is not known", ("route",))
        self._attempts = self._counter("attempts", "Attempts by deployment and failure", ("deployment", "failure"))
        self._may_cost = self._counter(
            "may_cost_dollars", "The most that may be billed beyond the spend, for attempts given up", ("route",)
        )
        self._given_up = self._counter("given_up_attempts", "Attempts given up that may be billed", ("deployment",))
        self._cached = self._counter("cache_answers", "Answers out of a cache", ("route", "cache"))
        self._incidents = self._counter("incidents", "What should not happen, by kind", ("kind",))
        self._findings = self._counter("guard_findings", "What guards found, by kind", ("kind",))
        self._durations = self._histogram("duration_seconds", "Whole calls", _SECONDS)
        self._firsts = self._histogram("first_byte_seconds", "Until the answer's first byte", _SECONDS)
        self._overheads = self._histogram("overhead_seconds", "Time spent in the gateway itself", _OVERHEAD)
        self._routes: dict[str, _Route] = {}
        self._known: dict[tuple[Any, ...], Any] = {}
        self._limited = self._counter("limit_refusals", "Calls refused by a limit, by its name", ("rule",))
        self._rules: set[str] = set()
        self._gauges: list[tuple[Any, Callable[[], float]]] = []
        self.watch("in_flight", "Calls under way", lambda: self.in_flight)

    def ended(self, call: Call, took: int, overhead: int) -> None:
        """Count a call that has ended."""
        name = call.route.name if call.route else ""
        route = self._routes.get(name)
        if route is None:
            route = self._routes[name] = self._of_route(name)
        self._child(self._calls, name, call.status, call.code).inc()
        route.durations.observe(took / 1e9)
        route.overheads.observe(overhead / 1e9)
        if call.first:
            route.firsts.observe(call.first / 1e9)
        if call.usage is not None:
            route.read.inc(call.usage.input_tokens)
            route.written.inc(call.usage.output_tokens)
        if call.cost:
            route.cost.inc(call.cost / 1e9)
        elif call.cost is None:
            route.unpriced.inc()
        for attempt in call.attempts:
            self._child(self._attempts, attempt.deployment, attempt.failure or "").inc()
        if call.cache:
            self._child(self._cached, name, call.cache).inc()
        for kind in call.incidents:
            self.incident(kind)
        for kind, count in call.findings.items():
            self._child(self._findings, kind).inc(count)

    def given_up(self, call: Call) -> None:
        """Count attempts that were given up, and the most that may be billed for them where that is known."""
        for attempt in call.attempts:
            if attempt.given_up:
                self._child(self._given_up, attempt.deployment).inc()
                if attempt.may_cost:
                    name = call.route.name if call.route else ""
                    self._child(self._may_cost, name).inc(attempt.may_cost / 1e9)

    def incident(self, kind: str) -> None:
        """Count what should not happen; ``kind`` is one of few words."""
        self._child(self._incidents, kind).inc()

    def limited(self, rule: str) -> None:
        """Count a call that a limit refused."""
        if rule not in self._rules and len(self._rules) < _RULES:
            self._rules.add(rule)
        self._child(self._limited, rule if rule in self._rules else "other").inc()

    def watch(self, name: str, words: str, value: Callable[[], float]) -> None:
        """Show a figure that goes up and down; where there are several processes, the sum of those that live."""
        gauge = self._library.Gauge(
            f"pilothouse_gateway_{name}", words, registry=self.registry, multiprocess_mode="livesum"
        )
        self._gauges.append((gauge, value))

    def refresh(self) -> None:
        """Take the watched figures: other processes read from files what was taken last."""
        for gauge, value in self._gauges:
            gauge.set(value())

    def exposition(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        self.refresh()
        return self._library.generate_latest(self.registry)

    def _of_route(self, name: str) -> _Route:
        return _Route(
            durations=self._durations.labels(name),
            overheads=self._overheads.labels(name),
            firsts=self._firsts.labels(name),
            read=self._tokens.labels(name, "input"),
            written=self._tokens.labels(name, "output"),
            cost=self._cost.labels(name),
            unpriced=self._unpriced.labels(name),
        )

    def _child(self, metric: Any, *labels: str) -> Any:
        key = (metric, *labels)
        child = self._known.get(key)
        if child is None:
            child = self._known[key] = metric.labels(*labels)
        return child

    def _counter(self, name: str, words: str, labels: tuple[str, ...]) -> Any:
        return self._library.Counter(f"pilothouse_gateway_{name}", words, labels, registry=self.registry)

    def _histogram(self, name: str, words: str, buckets: tuple[float, ...]) -> Any:
        return self._library.Histogram(
            f"pilothouse_gateway_{name}", words, ("route",), buckets=buckets, registry=self.registry
        )
