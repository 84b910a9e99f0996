"""The section `gateway` of the settings: what is served, by whom, within which limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from pilothouse.gateway.types import Failure

_Count = Annotated[int, Meta(ge=1)]
_Whole = Annotated[int, Meta(ge=0)]
_Seconds = Annotated[float, Meta(gt=0)]
_Wait = Annotated[float, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Weight = Annotated[float, Meta(ge=0)]
_Dollars = Annotated[float, Meta(ge=0)]

Strategy = Literal["weighted", "priority", "least_busy", "latency", "cheapest"]
Period = Literal["second", "minute", "hour", "day", "week", "month", "total"]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections share: nothing in them changes, an unknown key is refused."""


class CallTimeouts(_Section, frozen=True, kw_only=True):
    """How long a call may take, in seconds.

    Attributes:
        connect: Until the connection to the upstream stands.
        first_token: Until its answer begins.
        idle: Between two pieces of a stream.
        total: For the whole call, retries and fallbacks included.
    """

    connect: _Seconds = 5.0
    first_token: _Seconds = 120.0
    idle: _Seconds = 60.0
    total: _Seconds = 900.0


class CallRetries(_Section, frozen=True, kw_only=True):
    """How a failed attempt is repeated.

    Attributes:
        attempts: Most attempts of one call over all deployments, the first included.
        base: Upper bound of the first wait in seconds; it doubles, the wait is drawn evenly below it.
        longest: Upper bound of a wait; an upstream that asks for more is left for the next deployment.
        budget: Retries allowed for each call of the last ten seconds; beyond it failures are handed on, so that
            retries never multiply an outage.
    """

    attempts: _Count = 3
    base: _Wait = 0.25
    longest: _Wait = 10.0
    budget: _Share = 0.2


class BreakerSettings(_Section, frozen=True, kw_only=True):
    """When a deployment is left alone.

    Attributes:
        failures: Failures in a row that open the breaker.
        cooldown: Seconds until one trial call is let through (half-open); doubles with each failed trial.
        longest: Upper bound of the cooldown.
    """

    failures: _Count = 5
    cooldown: _Seconds = 5.0
    longest: _Seconds = 120.0


class Hedge(_Section, frozen=True, kw_only=True):
    """A second attempt beside a slow first one; the one that answers first wins, the other is cancelled.

    Attributes:
        after: Seconds to wait for the first byte before the second attempt starts.
        share: Most hedged calls, as a share of all calls of the route.
    """

    after: _Seconds
    share: _Share = 0.1


class Condition(_Section, frozen=True, kw_only=True):
    """What a request must show; every given part must hold.

    Attributes:
        headers: Header to the value it must have; ``*`` for any.
        metadata: Tag of the request's ``metadata`` to its value; ``*`` for any.
        tenant: ``organisation``, ``team``, ``user`` or ``use_case`` to its value.
        stream: Whether the answer is streamed.
        tools: Whether the request declares tools.
        most_bytes: The body is no longer.
    """

    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    tenant: dict[str, str] = {}
    stream: bool | None = None
    tools: bool | None = None
    most_bytes: int | None = None


class DeploymentSettings(_Section, frozen=True, kw_only=True):
    """One place a route's model is served from.

    Attributes:
        connection: A connection of the project.
        model: The model's name there; empty for the connection's own, or the route's name.
        name: The deployment's id; ``connection/model`` by default.
        weight: Share of calls among deployments of one priority; 0 takes it out.
        priority: Lower ones are asked first; higher ones are fallbacks.
        when: Served only where this holds.
        wires: Forms it understands without translation, where the provider's own list is wrong for it.
        concurrency: Calls at once; None for no limit.
    """

    connection: str
    model: str = ""
    name: str = ""
    weight: _Weight = 1.0
    priority: _Whole = 0
    when: Condition | None = None
    wires: tuple[str, ...] | None = None
    concurrency: _Count | None = None


class Bandit(_Section, frozen=True, kw_only=True):
    """Thompson sampling over the arms, fed by feedback.

    Attributes:
        metric: Name of the feedback score that counts; booleans, or numbers from 0 to 1.
        floor: Least share of any arm.
        warmup: Feedbacks of each arm before shares move.
    """

    metric: str
    floor: _Share = 0.05
    warmup: _Whole = 30


class TrafficExperiment(_Section, frozen=True, kw_only=True):
    """A split of a route's calls that holds for each user.

    Attributes:
        name: How the ledger names it.
        unit: What keeps its arm; a call without one is given an arm by chance and says so.
        namespace: Experiments of one namespace never share a unit; others are independent.
        traffic: Share of units that take part; the others get the route as it is.
        arms: Arm to its weight.
        deployments: Arm to the deployments it uses; an arm that is left out uses all.
        bandit: Moves the weights; None to keep them.
    """

    name: str
    unit: Literal["user", "session", "key"] = "user"
    namespace: str = ""
    traffic: _Share = 1.0
    arms: dict[str, _Weight]
    deployments: dict[str, tuple[str, ...]] = {}
    bandit: Bandit | None = None


class Shadow(_Section, frozen=True, kw_only=True):
    """Copies of calls whose answers nobody sees; they never delay or fail the call itself.

    Attributes:
        deployment: Which deployment of the route gets the copies (its weight may be 0).
        share: Share of calls that are copied.
        concurrency: Most copies in flight; more are dropped and counted.
    """

    deployment: str
    share: _Share = 0.1
    concurrency: _Count = 8


class ExactCache(_Section, frozen=True, kw_only=True):
    """Answers given again to the same request of the same tenant.

    Attributes:
        seconds: How long an answer is good.
        scope: Who shares answers: never wider than the organisation.
        entries: Most answers kept in one process.
        megabytes: Most megabytes kept in one process.
    """

    seconds: _Seconds = 3600.0
    scope: Literal["organisation", "team", "user", "key"] = "key"
    entries: _Count = 10_000
    megabytes: _Count = 64


class SemanticCache(_Section, frozen=True, kw_only=True):
    """Answers given again to a request that means the same, of the same tenant and conversation.

    Attributes:
        connection: What makes the vectors.
        model: The embedding model there.
        threshold: Least cosine similarity of the last user message, 0 to 1.
        seconds: How long an answer is good.
        scope: Who shares answers: never wider than the organisation.
        entries: Most answers kept in one process.
        verify: Share of hits that are also asked upstream, to measure the false-hit rate.
    """

    connection: str
    model: str = ""
    threshold: _Share = 0.95
    seconds: _Seconds = 3600.0
    scope: Literal["organisation", "team", "user", "key"] = "key"
    entries: _Count = 10_000
    verify: _Share = 0.02


class RouteSettings(_Section, frozen=True, kw_only=True):
    """A model name that clients use, and what stands behind it.

    Attributes:
        deployments: Where it is served from.
        strategy: How one of several deployments is chosen within a priority; see `docs/gateway.md`.
        affinity: Keeps a unit's calls on one deployment while it is healthy.
        retries: How failures are repeated.
        breaker: When a deployment is left alone.
        timeouts: How long to wait.
        fallback: Other routes, tried in order when this one's deployments have failed.
        fallback_on: Failures that lead to another deployment or route.
        hedge: A second attempt beside a slow one; None for never.
        continuation: Whether an answer that breaks off is continued by another deployment.
        experiment: A split of the traffic.
        shadow: Copies of calls.
        cache: Answers to equal requests; None for never.
        semantic_cache: Answers to requests that mean the same; None for never.
        guards: Names of `gateway.guards` that every call passes, in order.
        max_output_tokens: Put into requests that name no limit where money or tokens are limited, and the most that
            a request may ask for; None for no bound.
        aliases: Other names of the route.
    """

    deployments: tuple[DeploymentSettings, ...]
    strategy: Strategy = "weighted"
    affinity: Literal["user", "session", "key"] | None = None
    retries: CallRetries = field(default_factory=CallRetries)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    timeouts: CallTimeouts = field(default_factory=CallTimeouts)
    fallback: tuple[str, ...] = ()
    fallback_on: tuple[Failure, ...] = (
        "rate_limit",
        "server",
        "connect",
        "timeout",
        "stream_idle",
        "cut",
        "malformed",
        "context_length",
        "auth",
    )
    hedge: Hedge | None = None
    continuation: bool = False
    experiment: TrafficExperiment | None = None
    shadow: Shadow | None = None
    cache: ExactCache | None = None
    semantic_cache: SemanticCache | None = None
    guards: tuple[str, ...] = ()
    max_output_tokens: _Count | None = 4096
    aliases: tuple[str, ...] = ()


class LimitRule(_Section, frozen=True, kw_only=True):
    """A limit on whoever it matches: exactly one resource, over one window.

    Attributes:
        name: How refusals and reports call it.
        match: ``organisation``, ``team``, ``user``, ``key`` (an id or name), ``use_case`` or ``route`` to its value.
        each: Counts apart for each value of this; None counts all that match together.
        requests: Calls in a window.
        tokens: Tokens in a window, input and output.
        dollars: Money in a window: a hard budget.
        concurrency: Calls at once; without a window.
        per: The window; requests and tokens roll (GCRA), money is counted in calendar windows (UTC).
        mode: ``shadow`` counts and reports, and refuses nothing.
        warn: Share of it at which an event is recorded.
    """

    name: str = ""
    match: dict[str, str] = {}
    each: Literal["organisation", "team", "user", "key", "use_case", "route"] | None = None
    requests: _Count | None = None
    tokens: _Count | None = None
    dollars: _Dollars | None = None
    concurrency: _Count | None = None
    per: Period = "minute"
    mode: Literal["enforce", "shadow"] = "enforce"
    warn: _Share = 0.8


class GuardSettings(_Section, frozen=True, kw_only=True):
    """One guard.

    Attributes:
        type: Which guard: a plug-in of the group `pilothouse.guards`.
        stages: When it looks; None for all it can, but not ``beside`` a call where it also looks before.
        on_error: What happens when it cannot decide.
        timeout: Seconds it may take.
        options: What its type understands.
    """

    type: str
    stages: tuple[Literal["before", "beside", "after", "stream"], ...] | None = None
    on_error: Literal["refuse", "pass"] = "refuse"
    timeout: _Seconds = 5.0
    options: dict[str, Any] = {}


class CaptureSettings(_Section, frozen=True, kw_only=True):
    """Whether requests and answers are recorded.

    Attributes:
        mode: ``redacted`` runs the rules of the redaction guard over them first.
        sample: Share of calls.
        most_bytes: Bytes kept of each request and answer.
    """

    mode: Literal["off", "redacted", "full"] = "off"
    sample: _Share = 1.0
    most_bytes: _Count = 262_144


class GatewaySettings(_Section, frozen=True, kw_only=True):
    """The gateway of a project.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        workers: Processes.
        access: ``keys`` wants a virtual key of every caller; ``open`` wants none, on the loopback alone; ``auto`` is
            open on the loopback until the first key is made.
        redis: ``redis://...`` where limits, budgets and caches are shared; empty for within the process.
        share_ledger: Whether ledger rows go to other hosts through the database; None: where it is a PostgreSQL and
            there is a Redis.
        notice: Seconds that calls are still taken after the signal to end, while readiness says no already: time for
            a load balancer to notice.
        drain: Seconds that calls in flight are given when the gateway ends, after that.
        max_body: Bytes of the longest request.
        head_timeout: Seconds for the head of a request to arrive, and for each further piece of its body.
        connections: Most client connections in one process.
        traceparent: Whether upstreams are told the call's trace (W3C Trace Context).
        unpriced: Whether a call whose price is unknown may pass a money limit.
        routes: Model name to what stands behind it; empty: every connection that serves models is a route.
        limits: Limits and budgets.
        guards: Guards by name.
        capture: What is recorded of requests and answers.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 4000
    workers: _Count = 1
    access: Literal["auto", "keys", "open"] = "auto"
    redis: str = ""
    share_ledger: bool | None = None
    notice: _Wait = 0.0
    drain: _Wait = 600.0
    max_body: _Count = 33_554_432
    head_timeout: _Seconds = 15.0
    connections: _Count = 4096
    traceparent: bool = True
    unpriced: Literal["refuse", "pass"] = "refuse"
    routes: dict[str, RouteSettings] = {}
    limits: tuple[LimitRule, ...] = ()
    guards: dict[str, GuardSettings] = {}
    capture: CaptureSettings = field(default_factory=CaptureSettings)
