"""`gateway budget`: limits and budgets in the terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, get_args

import click

from pilothouse.access.types import Actor
from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.gateway.admin.changing import change_config
from pilothouse.gateway.admin.limits import LimitStanding, remove_limit, set_limit, standings
from pilothouse.gateway.commands.options import dollars, json_option, pairs, shown_moment
from pilothouse.gateway.settings import LimitRule, Period
from pilothouse.gateway.types import NANO

_SCOPES: Final = ("organisation", "team", "user", "key", "use_case", "route")
_PLAIN: Final = ("dollars", "concurrency")
_BAR: Final = 4
_HELD: Final = 3


@click.group()
def budget() -> None:
    """Limits on calls, tokens, money and concurrency."""


@budget.command("list")
@json_option
@click.pass_obj
def list_(services: Services, as_json: bool) -> None:
    """Show where limits stand, and what budgets will come to."""
    found = standings(services)
    if as_json:
        emit_json(found)
    elif found:
        now = services.clock.now()
        columns = ["limit", "whose", ">used", ">of", "", "until", "by then"]
        rows = [_row(item, now) for item in found]
        if any(item.held for item in found):
            columns.insert(_HELD, ">held")
            for row, item in zip(rows, found, strict=True):
                row.insert(_HELD, "" if not item.held else _bare(item, item.held))
        console().print(table(None, columns, rows))
    else:
        console().print("Nothing is limited. Set a limit: pilothouse gateway budget set NAME --dollars 100")


@budget.command("set")
@click.argument("name")
@click.option("--dollars", type=click.FloatRange(min=0), help="Money in a window.")
@click.option("--tokens", type=click.IntRange(min=1), help="Tokens in a window, input and output.")
@click.option("--requests", type=click.IntRange(min=1), help="Calls in a window.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Calls at once.")
@click.option("--per", type=click.Choice(get_args(Period)), help="The window: month for money, minute for the others.")
@click.option("--match", multiple=True, metavar="SCOPE=VALUE", help="Only for these, as team=search or key=ci.")
@click.option("--each", type=click.Choice(_SCOPES), help="Count apart for each of these.")
@click.option("--shadow", is_flag=True, help="Count and report, and refuse nothing.")
@click.option("--warn", type=click.FloatRange(0, 1), default=0.8, show_default=True, help="Share that is reported.")
@json_option
@click.pass_obj
def set_(services: Services, name: str, match: tuple[str, ...], shadow: bool, as_json: bool, **given: Any) -> None:
    """Put the limit NAME in force, in place of the one of this name."""
    per = given.pop("per") or ("month" if given["dollars"] is not None else "minute")
    rule = LimitRule(name=name, match=pairs(match, "--match"), per=per, mode="shadow" if shadow else "enforce", **given)
    after = change_config(services, services.get(Actor), "limit.set", set_limit(services, rule))
    if as_json:
        emit_json({"version": after.version, "rule": rule})
    else:
        console().print(f"The limit '{name}' is in force, with version {after.version.number}.", soft_wrap=True)


@budget.command()
@click.argument("name")
@json_option
@click.pass_obj
def remove(services: Services, name: str, as_json: bool) -> None:
    """Take the limit NAME out of force."""
    after = change_config(services, services.get(Actor), "limit.remove", remove_limit(name))
    if as_json:
        emit_json({"version": after.version})
    else:
        console().print(f"The limit '{name}' is gone, with version {after.version.number}.", soft_wrap=True)


def _row(item: LimitStanding, now: datetime) -> list[str]:
    whose = ", ".join(f"{scope}={value}" for scope, value in item.match.items()) or "all"
    if item.each is not None:
        whose += f", each {item.each}" + (f": {item.value}" if item.value else "")
    name = item.name if item.enforced else f"{item.name} (shadow)"
    limit = f"{_amount(item, item.limit)} a {item.per}" if item.per else f"{item.limit:,} at once"
    used = "live" if item.used is None else _amount(item, item.used)
    if item.unsure:
        used += f", {dollars(item.unsure)} of it unsure"
    return [name, whose, used, limit, _bar(item), shown_moment(item.ends_at)[5:], _forecast(item, now)]


def _amount(item: LimitStanding, value: int) -> str:
    return _bare(item, value) if item.resource in _PLAIN else f"{value:,} {item.resource}"


def _bare(item: LimitStanding, value: int) -> str:
    return dollars(value) if item.resource == "dollars" else f"{value:,}"


def _bar(item: LimitStanding) -> str:
    if item.used is None:
        return ""
    share = min(1.0, (item.used + (item.held or 0)) / item.limit) if item.limit else 1.0
    full = round(share * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {share:.0%}"


def _forecast(item: LimitStanding, now: datetime) -> str:
    found = item.forecast
    if found is None:
        return ""
    if found.expected is None:
        return "too early"
    cents = NANO // 100
    text = f"~{dollars(round(found.expected / cents) * cents)}"
    if found.exhausted_ns is not None:
        left = max(0.0, found.exhausted_ns / NANO - now.timestamp()) / 86_400
        text += f", used up in {left:.1f} days"
    return text
