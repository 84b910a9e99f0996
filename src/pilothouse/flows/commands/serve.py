"""`flow serve`: a flow over HTTP, with a page to try it on."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import click
from msgspec.structs import replace

from pilothouse.core import plugins
from pilothouse.core.environment import export
from pilothouse.core.errors import ConfigError, UserError
from pilothouse.core.services import Services
from pilothouse.flows.commands.inputs import pair
from pilothouse.flows.commands.options import variant_option
from pilothouse.flows.commands.printing import print_at_once, print_notes
from pilothouse.flows.dag.variants import parse_variant
from pilothouse.flows.library import locate
from pilothouse.flows.loader import load_flow
from pilothouse.flows.nodes.opening import INIT
from pilothouse.flows.project import project_runner
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.serving.types import Site
from pilothouse.flows.serving.variables import BUILD, PROJECT_PATH, ignored, included_outputs, init_arguments
from pilothouse.flows.settings import FlowSettings, ServingSettings
from pilothouse.models.secret import Secret

Server = Callable[[Services, FlowRunner, ServingSettings, Site], int]

_NEEDED = ("starlette", "uvicorn")


def load_server() -> Server:
    """Return the server, which comes with an extra.

    Raises:
        UserError: when the extra is not installed.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"serving needs {' and '.join(missing)}, which is not installed", fix='pip install "pilothouse[serve]"'
        )
    return plugins.load("servers", "http")


@click.command()
@click.argument("path", required=False)
@click.option("--source", help="The same as PATH.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Its port; 0: a free one.")
@click.option("--environment-variables", multiple=True, metavar="KEY=VALUE", help="Set a variable for the flow.")
@click.option("--init", multiple=True, metavar="KEY=VALUE", help="An argument of the class of a flex flow.")
@click.option(
    "--connections", multiple=True, metavar="NODE.KEY=VALUE", help="Use another connection or input in a node."
)
@variant_option
@click.option("--open/--skip-open-browser", "is_opened", default=False, help="Open the page in a browser.")
@click.option("--key-env", metavar="NAME", help="Clients must show the key that this variable holds.")
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Let pages of this site call; * for all.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A further name by which this server is called.")
@click.option("--drain", type=click.FloatRange(min=0, min_open=True), help="Seconds that requests have to end.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Requests that are worked on at once.")
@click.option("--engine", hidden=True, help="Prompt flow's choice of a server.")
@click.pass_obj
def serve(
    services: Services,
    path: str | None,
    source: str | None,
    environment_variables: Sequence[str],
    init: Sequence[str],
    connections: Sequence[str],
    variants: Sequence[str],
    key_env: str | None,
    drain: float | None,
    concurrency: int | None,
    engine: str | None,
    **given: Any,
) -> None:
    """Serve a flow over HTTP: POST /score, /feedback, GET /health, /version, /swagger.json, and a page at /.

    PATH is the flow's folder, file or name. Without it PROMPTFLOW_PROJECT_PATH, or the current folder.
    """
    run = load_server()
    print_at_once()
    variables = dict(map(pair, environment_variables))
    # Before the project is opened: its connections read them too.
    export(variables)
    environment = services.settings.environment
    flow = load_flow(locate(services.root, path or source or environment.get(PROJECT_PATH) or "."))
    flow = replace(flow, environment_variables={**flow.environment_variables, **variables})
    overrides = _overrides(connections)
    arguments = {**init_arguments(environment), **dict(map(pair, init))}
    runner = project_runner(
        services,
        flow,
        variants=dict(map(parse_variant, variants)),
        connections={**overrides, INIT: arguments} if arguments else overrides,
    )
    site = Site(
        host=given["host"],
        port=given["port"],
        is_opened=given["is_opened"],
        key=_key(key_env, environment) if key_env else None,
        origins=tuple(given["cors"]),
        hosts=tuple(given["allow_host"]),
        included=included_outputs(environment),
        build=environment.get(BUILD, ""),
        say=lambda text: click.echo(text, err=True),
    )
    notes = [*flow.notes, *ignored({**environment, **({"PROMPTFLOW_SERVING_ENGINE": engine} if engine else {})})]
    if not site.is_local and site.key is None:
        notes.append(f"everybody who can reach {site.host} may call this flow: there is no key; set one with --key-env")
    print_notes(notes)
    limits = services.settings.section(FlowSettings).serving
    limits = replace(limits, drain=drain or limits.drain, concurrency=concurrency or limits.concurrency)
    raise click.exceptions.Exit(run(services, runner, limits, site))


def _key(name: str, environment: Any) -> Secret:
    found = environment.get(name)
    if not found:
        raise ConfigError(f"the environment variable {name} is not set", where="--key-env", fix=f"export {name}=...")
    return Secret(found)


def _overrides(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        place, value = pair(text)
        node, dot, key = place.partition(".")
        if not dot:
            raise UserError(
                f"'{place}' names no input of a node", where="--connections", expected="node.connection=name"
            )
        found.setdefault(node, {})[key] = value
    return found
