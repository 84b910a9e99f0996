"""`gateway explain`: what would become of a call, without making it."""

from __future__ import annotations

from typing import Any, get_args

import click
from msgspec.structs import replace
from rich.text import Text

from pilothouse.core.services import Services
from pilothouse.core.terminal import console, emit_json
from pilothouse.gateway.admin.explaining import Explained, Question
from pilothouse.gateway.admin.explaining import explain as answer
from pilothouse.gateway.commands.options import dollars, json_option, pairs
from pilothouse.gateway.types import Wire


@click.command()
@click.argument("model")
@click.option("--key", default="", help="The key that it would show, by name or id.")
@click.option("--wire", type=click.Choice(get_args(Wire)), default="openai.chat", show_default=True, help="Its form.")
@click.option("--user", default="", help="The client's user id.")
@click.option("--session", default="", help="The conversation's id.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of the client.")
@click.option("--tag", "metadata", multiple=True, metavar="NAME=VALUE", help="A tag of the request.")
@click.option("--stream", is_flag=True, help="Its answer is streamed.")
@click.option("--tools", is_flag=True, help="It declares tools.")
@click.option("--input-tokens", type=click.IntRange(min=0), default=1000, show_default=True, help="What it would read.")
@click.option(
    "--output-tokens", type=click.IntRange(min=0), help="The most that it would write; the route's own bound."
)
@json_option
@click.pass_obj
def explain(
    services: Services, headers: tuple[str, ...], metadata: tuple[str, ...], as_json: bool, **given: Any
) -> None:
    """Tell what would become of a call to MODEL.

    Nobody is asked: shown are the deployments in order and why, the limits, and the most it would cost.

    Leaves with 1 when the key does not allow it, or nobody could serve it.
    """
    question = Question(**given)
    lower = {name.lower(): value for name, value in pairs(headers, "--header").items()}
    found = answer(services, replace(question, headers=lower, metadata=pairs(metadata, "--tag")))
    if as_json:
        emit_json(found)
    else:
        for line in _lines(found):
            console().print(Text(line), soft_wrap=True)
    if not found.allowed or not found.routing.choices:
        raise click.exceptions.Exit(1)


def _lines(found: Explained) -> list[str]:
    routing = found.routing
    version = f"version {found.config}" if found.config is not None else "pilothouse.yaml; no gateway was started yet"
    lines = [f"{routing.route}, by {routing.strategy} ({version})"]
    if not found.allowed:
        lines.append(f"refused: {found.reason}")
    for number, choice in enumerate(routing.choices, 1):
        place = f" of route {choice.route}" if choice.route != routing.route else ""
        note = f", {choice.note}" if choice.note else ""
        most = found.cost.get(choice.deployment)
        cost = f"at most {dollars(most)}" if most is not None else "cost not known"
        again = "" if number <= routing.attempts else ", beyond the attempts of one call"
        lines.append(f"  {number}. {choice.deployment}{place}: {cost}{note}{again}")
    if not routing.choices:
        lines.append("  nobody could serve it")
    lines += [f"  not {item.deployment}: {item.reason}" for item in routing.exclusions]
    if routing.experiment:
        unit = f" by {routing.unit}" if routing.unit else ", drawn for this call alone"
        lines.append(f"experiment {routing.experiment}: arm {routing.arm}{unit}")
    if routing.hedge_after is not None:
        lines.append(f"a second attempt beside the first after {routing.hedge_after:g} s")
    if routing.shadow:
        lines.append(f"a copy to {routing.shadow}")
    for limit in found.limits:
        amount = dollars(limit.limit) if limit.resource == "dollars" else f"{limit.limit:,} {limit.resource}"
        mode = "" if limit.enforced else ", in shadow mode"
        whole = f"{amount} a {limit.per}" if limit.per else f"{limit.limit:,} at once"
        lines.append(f"limit {limit.name}: {whole}{mode}")
    return lines
