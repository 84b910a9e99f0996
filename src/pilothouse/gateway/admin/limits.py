"""Limits and budgets over HTTP: where they stand, and changes of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pilothouse.access.doors import Asked, Operation
from pilothouse.access.keys.service import KeyService
from pilothouse.core.errors import NotFound, UserError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.gateway.admin.changing import Verb, change_config, configuration
from pilothouse.gateway.admin.routes import ConfigAnswer
from pilothouse.gateway.config.service import ConfigService
from pilothouse.gateway.config.types import ActiveConfig
from pilothouse.gateway.ledger.service import LedgerService
from pilothouse.gateway.ledger.types import CallFilter, Field, Forecast, TenantSpend
from pilothouse.gateway.limiting import live_counts
from pilothouse.gateway.limits.opening import Spend, balances
from pilothouse.gateway.limits.rules import Rule, bind, compile_rules
from pilothouse.gateway.limits.types import LimitState
from pilothouse.gateway.limits.windows import window
from pilothouse.gateway.settings import GatewaySettings, LimitRule, Period

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final[tuple[Field, ...]] = ("organisation", "team", "user", "key", "use_case", "route")


class LimitStanding(Struct, frozen=True, kw_only=True):
    """Where one count stands.

    Attributes:
        name: The rule's name.
        resource: What is limited.
        match: Whom the rule holds for.
        each: What it is counted apart for; null where all count together.
        value: Whose count this is.
        per: The window; null for calls at once.
        limit: Calls, tokens or nano-dollars.
        used: By the ledger; for limits that roll and for calls at once what is counted now, null where that cannot be
            asked.
        held: Set aside now for calls in flight; null where that cannot be asked: without Redis the serving process
            alone knows.
        unsure: Of ``used``, nano-dollars that may not be billed: those of attempts given up.
        enforced: Whether it refuses.
        ends_at: When the window ends; null where it has no end.
        forecast: What the window will come to, for money that all count together; null elsewhere.
    """

    name: str
    resource: str
    match: dict[str, str]
    each: str | None
    value: str
    per: Period | None
    limit: int
    used: int | None
    held: int | None
    enforced: bool
    unsure: int = 0
    ends_at: datetime | None = None
    forecast: Forecast | None = None


class _History:
    """The ledger as limits ask it; asked once for each moment."""

    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger
        self._known: dict[int, list[TenantSpend]] = {}
        self.unsure = False

    def spent(self, since_ns: int) -> Iterable[Spend]:
        """Return what each tenant used since a moment; of money, where ``unsure`` is set, what may not be billed."""
        if since_ns not in self._known:
            self._known[since_ns] = self._ledger.spent(since_ns)
        for row in self._known[since_ns]:
            cost = row.unsure if self.unsure else row.cost
            yield Spend(tenant=row.tenant, route=row.route, requests=row.requests, tokens=row.tokens, cost=cost)


def standings(services: Services) -> list[LimitStanding]:
    """Return where all limits in force stand, in the order of the configuration.

    Raises:
        ConfigError: for a rule that cannot be.
    """
    active = configuration(services)
    settings = active.settings if active else services.settings.section(GatewaySettings)
    rules = compile_rules(settings.limits)
    if not rules:
        return []
    ledger = services.get(LedgerService)
    now_ns = (services.clock.now() - _EPOCH) // timedelta(microseconds=1) * 1000
    names = {key.id: key.name for key in services.get(KeyService).list()}
    used: dict[str, dict[str, int]] = {}
    history = _History(ledger)
    for (bound, _), amount in balances(rules, history, now_ns, names).items():
        used.setdefault(bound.rule.identity, {})[bound.value] = amount
    history.unsure = True
    unsure = {bound.key: amount for (bound, _), amount in balances(rules, history, now_ns, names).items()}
    live = live_counts(services, settings)
    found: list[LimitStanding] = []
    for rule in rules:
        here = None if live is None else {item.value: item for item in live if item.rule == rule.name}
        counts = _counts(rule, used.get(rule.identity, {}), here)
        for value, amount in sorted(counts.items(), key=lambda item: (-(item[1] or 0), item[0])):
            standing = _standing(rule, value, amount, here, now_ns)
            may_not = unsure.get(bind(rule, value).key, 0) if rule.resource == "dollars" else 0
            found.append(replace(standing, unsure=may_not, forecast=_forecast(ledger, rule, names, now_ns)))
    return found


def _counts(rule: Rule, used: dict[str, int], live: dict[str, LimitState] | None) -> dict[str, int | None]:
    """Return what is used by whose count; one for nobody where nothing is."""
    if rule.kind == "tally":
        return {**dict.fromkeys(live or (), 0), **used} or {"": 0}
    if live is None:
        return {"": None}
    return {value: item.used for value, item in live.items()} or {"": 0}


def set_limit(services: Services, rule: LimitRule) -> Verb:
    """Return the change that puts a rule in force, in place of the one of its name.

    Raises:
        UserError: for a rule without a name.
        ConfigError: for a rule that cannot be.
    """
    if not rule.name:
        raise UserError("a limit that is to be changed later needs a name", where="name")
    compile_rules([rule])

    def verb(service: ConfigService, seen: int) -> ActiveConfig:
        rules = _rules(service, seen)
        place = next((place for place, item in enumerate(rules) if item.get("name") == rule.name), len(rules))
        rules[place : place + 1] = [msgspec.to_builtins(rule)]
        return service.edit(("limits",), rules, note=f"limit {rule.name}", expected=seen)

    return verb


def remove_limit(name: str) -> Verb:
    """Return the change that takes a rule out of force; it raises ``NotFound`` where there is none of the name."""

    def verb(service: ConfigService, seen: int) -> ActiveConfig:
        rules = _rules(service, seen)
        rest = [rule for rule in rules if rule.get("name") != name]
        if len(rest) == len(rules):
            known = [str(rule["name"]) for rule in rules if rule.get("name")]
            raise NotFound(f"there is no limit named '{name}'", expected=nearest_hint(name, known))
        return service.edit(("limits",), rest, note=f"no limit {name}", expected=seen)

    return verb


def list_limits(asked: Asked) -> list[LimitStanding]:
    """Return where all limits stand."""
    return standings(asked.services)


def put_limit(asked: Asked) -> ConfigAnswer:
    """Put a limit in force."""
    rule: LimitRule = replace(asked.body, name=asked.path["name"])
    return _changed(asked, "limit.set", set_limit(asked.services, rule))


def delete_limit(asked: Asked) -> ConfigAnswer:
    """Take a limit out of force."""
    return _changed(asked, "limit.remove", remove_limit(asked.path["name"]))


def _changed(asked: Asked, action: str, verb: Verb) -> ConfigAnswer:
    after = change_config(asked.services, asked.acting.actor, action, verb, seen=asked.seen)
    document = asked.services.get(ConfigService).document(after.version.number)
    return ConfigAnswer(version=after.version, document=document)


def _rules(service: ConfigService, number: int) -> list[dict[str, Any]]:
    return list(service.document(number).get("limits", ()))


def _standing(
    rule: Rule, value: str, used: int | None, live: dict[str, LimitState] | None, now_ns: int
) -> LimitStanding:
    ends_at = None
    if rule.kind == "tally" and rule.period not in (None, "total"):
        ends_at = _EPOCH + timedelta(microseconds=window(rule.period, now_ns)[1] // 1000)
    return LimitStanding(
        name=rule.name,
        resource=rule.resource,
        match=dict(rule.match),
        each=rule.each,
        value=value,
        per=rule.period,
        limit=rule.limit,
        used=used,
        held=None if live is None else live[value].held if value in live else 0,
        enforced=rule.enforce,
        ends_at=ends_at,
    )


def _forecast(ledger: LedgerService, rule: Rule, names: dict[str, str], now_ns: int) -> Forecast | None:
    if rule.resource != "dollars" or rule.each is not None or rule.period in (None, "total"):
        return None
    ids = {name: key_id for key_id, name in names.items()}
    match = {field: value for field, value in rule.match if field in _PLAIN}
    if "key" in match:
        match["key"] = ids.get(match["key"], match["key"])
    begin, end = window(rule.period, now_ns)
    wanted = CallFilter(match=msgspec.convert(match, dict[Field, str]))
    return ledger.forecast(begin, end, wanted, budget=rule.limit)


def _revision(answer: ConfigAnswer) -> int:
    return answer.version.number


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/limits",
        action="limits.read",
        summary="Show where limits and budgets stand; money is integer nano-dollars",
        run=list_limits,
        answer=list[LimitStanding],
    ),
    Operation(
        method="PUT",
        path="/limits/{name}",
        action="limits.write",
        summary="Put a limit in force, in place of the one of its name",
        run=put_limit,
        body=LimitRule,
        answer=ConfigAnswer,
        revision=_revision,
    ),
    Operation(
        method="DELETE",
        path="/limits/{name}",
        action="limits.write",
        summary="Take a limit out of force",
        run=delete_limit,
        answer=ConfigAnswer,
        revision=_revision,
    ),
)
