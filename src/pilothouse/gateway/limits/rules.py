"""Rules made ready: what each counts and under which key, and which of them hold for a caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct, structs

from pilothouse.core.errors import ConfigError, nearest_hint
from pilothouse.gateway.limits.types import Applied
from pilothouse.gateway.limits.windows import LENGTHS
from pilothouse.gateway.settings import LimitRule, Period
from pilothouse.gateway.types import NANO, Tenant

Resource = Literal["requests", "tokens", "dollars", "concurrency"]
Kind = Literal["pace", "tally", "count"]

_REMEMBERED: Final = 65_536
_SCOPES: Final = ("organisation", "team", "user", "key", "use_case", "route")


class Rule(Struct, frozen=True, kw_only=True):
    """A limit in whole numbers.

    Attributes:
        name: For people.
        identity: What is counted, without how much of it is allowed: a changed limit keeps its count.
        resource: What is limited.
        kind: ``pace`` rolls, ``tally`` is counted in calendar windows, ``count`` goes up and down.
        limit: Calls, tokens, or nano-dollars.
        period: The window; None for calls at once.
        length: Of a rolling window, in nanoseconds; 0 for the other kinds.
        enforce: Whether it refuses.
        warn_at: From here on a warning is due; the unit of ``limit``.
        match: Scope and value, all of which must hold.
        each: Counted apart for each value of this scope.
    """

    name: str
    identity: str
    resource: Resource
    kind: Kind
    limit: int
    period: Period | None
    length: int
    enforce: bool
    warn_at: int
    match: tuple[tuple[str, str], ...]
    each: str | None

    def holds(self, tenant: Tenant, key_name: str, route: str) -> bool:
        """Whether the rule is for this caller; a key is matched by its id or its name."""
        for scope, wanted in self.match:
            if scope == "key":
                if wanted not in (tenant.key, key_name):
                    return False
            elif wanted != (route if scope == "route" else getattr(tenant, scope)):
                return False
        return True

    def value(self, tenant: Tenant, route: str) -> str:
        """Return whose count it is: a team's within its organisation; callers that name none share one."""
        return "" if self.each is None else _VALUES[self.each](tenant, route)


OnWarning = Callable[[Rule, str, int, int], None]
"""Is told the rule, whose count, what is used and set aside, and the limit: once in a window."""


class Bound(Struct, frozen=True, kw_only=True):
    """A rule as it holds for one caller.

    Attributes:
        rule: The rule.
        value: Whose count; empty where all that match count together.
        key: The count's key: the rule's identity and the value.
    """

    rule: Rule
    value: str
    key: str


class Plan(Struct, frozen=True, kw_only=True):
    """All that holds for one caller.

    Attributes:
        bounds: In the order of the configuration.
        applied: The kinds of them.
        enforced: Whether any of them may refuse.
    """

    bounds: tuple[Bound, ...]
    applied: Applied
    enforced: bool


class Matcher:
    """Finds the rules of a caller, and remembers them."""

    def __init__(self, rules: Iterable[LimitRule]) -> None:
        self.rules = compile_rules(rules)
        self._plans: dict[tuple[Tenant, str, str], Plan | None] = {}

    def plan(self, tenant: Tenant, key_name: str, route: str) -> Plan | None:
        """Return what holds for a caller; None for no limit at all."""
        caller = (tenant, key_name, route)
        try:
            return self._plans[caller]
        except KeyError:
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            plan = self._plans[caller] = self._find(tenant, key_name, route)
            return plan

    def _find(self, tenant: Tenant, key_name: str, route: str) -> Plan | None:
        bounds = tuple(
            bind(rule, rule.value(tenant, route)) for rule in self.rules if rule.holds(tenant, key_name, route)
        )
        if not bounds:
            return None
        kinds = {bound.rule.resource for bound in bounds}
        applied = Applied(
            requests="requests" in kinds,
            tokens="tokens" in kinds,
            money="dollars" in kinds,
            concurrency="concurrency" in kinds,
        )
        return Plan(bounds=bounds, applied=applied, enforced=any(bound.rule.enforce for bound in bounds))


def bind(rule: Rule, value: str) -> Bound:
    """Return a rule with the count of one value."""
    return Bound(rule=rule, value=value, key=f"{rule.identity}={value}")


def compile_rules(rules: Iterable[LimitRule]) -> tuple[Rule, ...]:
    """Check rules and make them ready.

    Two rules that count the same keep a count each: the second one's identity is numbered.

    Raises:
        ConfigError: A rule limits nothing or more than one thing, or matches an unknown scope.
    """
    seen: dict[str, int] = {}
    ready: list[Rule] = []
    for number, rule in enumerate(rules):
        compiled = _compile(rule, f"gateway.limits[{number}]")
        again = seen[compiled.identity] = seen.get(compiled.identity, 0) + 1
        if again > 1:
            compiled = structs.replace(compiled, identity=f"{compiled.identity}#{again}")
        ready.append(compiled)
    return tuple(ready)


def needs_sharing(rules: Iterable[LimitRule]) -> bool:
    """Whether several workers must count together: as soon as one rule may refuse."""
    return any(rule.mode == "enforce" for rule in rules)


def _compile(rule: LimitRule, where: str) -> Rule:
    given: dict[Resource, int | float | None] = {
        "requests": rule.requests,
        "tokens": rule.tokens,
        "dollars": rule.dollars,
        "concurrency": rule.concurrency,
    }
    limits: dict[Resource, int | float] = {resource: amount for resource, amount in given.items() if amount is not None}
    if len(limits) != 1:
        raise ConfigError(
            f"A limit counts exactly one thing, this one {len(limits)}",
            where=where,
            expected="one of requests, tokens, dollars, concurrency",
            fix="Write a rule for each of them.",
        )
    for scope in rule.match:
        if scope not in _SCOPES:
            raise ConfigError(f"A limit cannot match {scope!r}", where=where, expected=nearest_hint(scope, _SCOPES))
    resource, amount = next(iter(limits.items()))
    if not math.isfinite(amount):
        raise ConfigError("A budget is a finite sum", where=where, fix="Leave the rule out for no limit.")
    limit = int(Decimal(str(amount)) * NANO) if resource == "dollars" else int(amount)
    kind = _kind(resource, rule.per)
    period = None if kind == "count" else rule.per
    match = tuple(sorted(rule.match.items()))
    return Rule(
        name=rule.name or _described(resource, period, match, rule.each),
        identity=_identity(resource, period, match, rule.each),
        resource=resource,
        kind=kind,
        limit=limit,
        period=period,
        length=LENGTHS[rule.per] if kind == "pace" else 0,
        enforce=rule.mode == "enforce",
        warn_at=math.ceil(Decimal(str(rule.warn)) * limit),
        match=match,
        each=rule.each,
    )


def _kind(resource: Resource, period: Period) -> Kind:
    if resource == "concurrency":
        return "count"
    return "tally" if resource == "dollars" or period == "total" else "pace"


def _identity(resource: Resource, period: Period | None, match: tuple[tuple[str, str], ...], each: str | None) -> str:
    scopes = "&".join(f"{scope}:{quote(value, safe='')}" for scope, value in match)
    return f"{resource}/{period or 'now'}/{scopes}/{each or ''}"


def _described(resource: Resource, period: Period | None, match: tuple[tuple[str, str], ...], each: str | None) -> str:
    words: list[str] = [resource]
    if period is not None:
        words.append("in total" if period == "total" else f"per {period}")
    words.extend(f"{scope} {value}" for scope, value in match)
    if each is not None:
        words.append(f"each {each}")
    return " ".join(words)


def _joined(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


_VALUES: Final[dict[str, Callable[[Tenant, str], str]]] = {
    "organisation": lambda tenant, _: _joined(tenant.organisation),
    "team": lambda tenant, _: _joined(tenant.organisation, tenant.team),
    "user": lambda tenant, _: _joined(tenant.organisation, tenant.team, tenant.user),
    "key": lambda tenant, _: _joined(tenant.key),
    "use_case": lambda tenant, _: _joined(tenant.organisation, tenant.use_case),
    "route": lambda _, route: _joined(route),
}
