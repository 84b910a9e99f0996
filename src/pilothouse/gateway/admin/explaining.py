"""What the gateway would do with a call, without making it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pilothouse.access.doors import Asked, Operation
from pilothouse.access.keys.ring import entry_of
from pilothouse.access.keys.service import KeyService
from pilothouse.access.keys.types import Key
from pilothouse.core.errors import NotFound, nearest_hint
from pilothouse.core.ids import new_id
from pilothouse.core.services import Services
from pilothouse.gateway.admin.changing import configuration
from pilothouse.gateway.limits.rules import compile_rules
from pilothouse.gateway.preparing import common_price, prepare_routes
from pilothouse.gateway.routing.explanation import Explanation
from pilothouse.gateway.routing.health import HealthBoard
from pilothouse.gateway.routing.router import Router
from pilothouse.gateway.routing.types import Route, RoutingRequest
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.gateway.types import Tenant, Wire
from pilothouse.models.rates.card import RateCard
from pilothouse.models.rates.moments import moment_ns
from pilothouse.models.service import ModelService


class Question(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that might be made.

    Attributes:
        model: What the client asks for.
        key: Name or id of the key it would show; empty for none.
        wire: The form it speaks.
        user: The client's user id.
        session: The conversation's id.
        headers: The client's headers, lower case.
        metadata: The request's tags.
        stream: Whether the answer is streamed.
        tools: Whether tools are declared.
        input_tokens: What it would read, for the cost.
        output_tokens: The most that it would write; null for the route's own bound.
    """

    model: str
    key: str = ""
    wire: Wire = "openai.chat"
    user: str = ""
    session: str = ""
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    stream: bool = False
    tools: bool = False
    input_tokens: int = 1000
    output_tokens: int | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """A limit that would hold.

    Attributes:
        name: The rule's name.
        resource: What is limited.
        limit: Calls, tokens or nano-dollars.
        per: The window; empty for calls at once.
        enforced: Whether it refuses.
    """

    name: str
    resource: str
    limit: int
    per: str
    enforced: bool


class Explained(Struct, frozen=True, kw_only=True):
    """What would become of it.

    Attributes:
        allowed: Whether the key opens the route at all.
        reason: Why not; empty where it does.
        config: The version that would decide; null where no gateway was ever started.
        routing: Whom it would go to and why; how deployments fare is known to the serving processes alone, so all
            are taken to be well.
        limits: Which would hold.
        cost: Nano-dollars that it costs at most by deployment; null where the price is not known.
    """

    allowed: bool
    reason: str
    config: int | None
    routing: Explanation
    limits: list[Limit]
    cost: dict[str, int | None]


def explain(services: Services, question: Question, organisation: str = "") -> Explained:
    """Return what would become of a call.

    Raises:
        NotFound: for an unknown route or key; a key of another organisation than the given one is unknown, too.
        ConfigError: when the configuration cannot be used.
    """
    active = configuration(services)
    settings = active.settings if active else services.settings.section(GatewaySettings)
    rates = services.get(RateCard)
    now = services.clock.now()
    table = prepare_routes(settings, services.get(ModelService))
    route = table.routes.get(question.model) or table.open_routes.get(question.model.partition("/")[0])
    if route is None:
        raise NotFound(f"there is no model '{question.model}'", expected=nearest_hint(question.model, table.models()))
    key = services.get(KeyService).show(question.key) if question.key else None
    if key is not None and organisation and key.organisation != organisation:
        raise NotFound(f"there is no key '{question.key}'")
    tenant = _tenant(key, organisation)
    request = RoutingRequest(
        call_id=new_id(now),
        tenant=tenant,
        wire=question.wire,
        headers=question.headers,
        metadata=question.metadata,
        user=question.user,
        session=question.session,
        stream=question.stream,
        tools=question.tools,
    )
    routing = Router(HealthBoard(), price=common_price(rates, lambda: moment_ns(now))).explain(
        route, request, table.routes
    )
    name = key.name if key else ""
    rules = [rule for rule in compile_rules(settings.limits) if rule.holds(tenant, name, route.name)]
    reason = _reason(services, key, question, route.name)
    return Explained(
        allowed=not reason,
        reason=reason,
        config=active.version.number if active else None,
        routing=routing,
        limits=[
            Limit(
                name=rule.name,
                resource=rule.resource,
                limit=rule.limit,
                per=rule.period or "",
                enforced=rule.enforce,
            )
            for rule in rules
        ],
        cost=_costs(rates, routing, {**table.routes, route.name: route}, question, moment_ns(now)),
    )


def _tenant(key: Key | None, organisation: str) -> Tenant:
    if key is None:
        return Tenant(organisation=organisation)
    return Tenant(key=key.id, organisation=key.organisation, team=key.team, user=key.user, use_case=key.use_case)


def _reason(services: Services, key: Key | None, question: Question, route: str) -> str:
    if key is None:
        return ""
    state = key.state(services.clock.now())
    if state != "active":
        return f"the key is {state}"
    entry = entry_of(key)
    operation = question.wire.partition(".")[2]
    known = {"messages": "chat", "responses": "chat", "completions": "chat", "generate": "chat", "converse": "chat"}
    if not entry.allows_operation(known.get(operation, operation)):
        return "the key may not ask for this"
    return "" if entry.allows_model(route) else f"the key may not call '{route}'"


def _costs(
    rates: RateCard, routing: Explanation, routes: Mapping[str, Route], question: Question, now_ns: int
) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for choice in routing.choices:
        route = routes.get(choice.route)
        deployment = next((item for item in route.deployments if item.id == choice.deployment), None) if route else None
        if route is None or deployment is None:
            continue
        model = deployment.model or question.model.partition("/")[2]
        rate = rates.rate(deployment.provider.name, model, now_ns)
        most = question.output_tokens if question.output_tokens is not None else route.settings.max_output_tokens
        found[choice.deployment] = None if rate is None or most is None else rate.bound(question.input_tokens, most)
    return found


def explain_call(asked: Asked) -> Explained:
    """Return what would become of a call."""
    question: Question = asked.body
    return explain(asked.services, question, asked.organisation)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/explain",
        action="explain",
        summary="Tell what would become of a call: route, deployments in order and why, limits, most cost",
        run=explain_call,
        body=Question,
        answer=Explained,
    ),
)
