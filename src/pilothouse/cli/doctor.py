"""Check that everything stands: Python, project, settings, database, disk, models, keys."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Literal

import click
import msgspec
from rich.text import Text

from pilothouse.core import plugins
from pilothouse.core.errors import ConnectionFault, PilothouseError
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE
from pilothouse.core.storage.sql import Database
from pilothouse.core.terminal import console, emit_json, table
from pilothouse.core.version import VERSION
from pilothouse.models import local_models
from pilothouse.models.service import ModelService

LOW_DISK = 1 << 30
MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "fail": "[red]fail[/]"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    subject: str
    state: Literal["ok", "note", "fail"]
    says: str


Check = Callable[[Services], Iterator[Finding]]


def check_python(_services: Services) -> Iterator[Finding]:
    """Look at the interpreter and at pip, which fetches models and sample data."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(subject="python", state="ok", says=f"{version}, pilothouse {VERSION}")
    if find_spec("pip") is None:
        yield Finding(
            subject="pip", state="note", says="not in this environment: `model pull` needs it (python -m ensurepip)"
        )


def check_project(services: Services) -> Iterator[Finding]:
    """Look for the project's settings file."""
    if (services.root / FILE).is_file():
        yield Finding(subject="project", state="ok", says=str(services.root))
    else:
        yield Finding(
            subject="project",
            state="note",
            says=f"no {FILE} here or above: defaults apply; `pilothouse init` makes one",
        )


def check_database(services: Services) -> Iterator[Finding]:
    """Open the database and bring it to its newest schema."""
    database = services.get(Database)
    yield Finding(subject="database", state="ok", says=database.label)


def check_disk(services: Services) -> Iterator[Finding]:
    """Look at the space that is left for state."""
    free = shutil.disk_usage(services.state).free
    state: Literal["ok", "note"] = "ok" if free >= LOW_DISK else "note"
    yield Finding(subject="disk", state=state, says=f"{free / (1 << 30):.1f} GiB free at {services.state}")


def check_extras(_services: Services) -> Iterator[Finding]:
    """Look at which optional parts are installed."""
    for extra, module in (
        ("gateway", "uvloop"),
        ("images", "PIL"),
        ("local", "xllamacpp"),
        ("metrics", "sacrebleu"),
        ("mlflow", "mlflow"),
        ("postgres", "psycopg"),
        ("ray", "ray"),
        ("serve", "uvicorn"),
        ("similarity", "onnxruntime"),
        ("wandb", "wandb"),
    ):
        if find_spec(module) is not None:
            yield Finding(subject=f"extra {extra}", state="ok", says=f"{module} is installed")
        else:
            yield Finding(
                subject=f"extra {extra}", state="note", says=f'not installed: pip install "pilothouse[{extra}]"'
            )


def check_models(services: Services) -> Iterator[Finding]:
    """Look at which models are on this machine."""
    cache = services.get(ModelService).context.cache
    for name in local_models.MODELS:
        if local_models.is_pulled(name, cache):
            yield Finding(subject="local model", state="ok", says=f"{name} is pulled")
        else:
            yield Finding(
                subject="local model", state="note", says=f"{name} is not pulled: pilothouse model pull {name}"
            )


def check_connections(services: Services) -> Iterator[Finding]:
    """Look at whether the connections of the project have their keys; no call is made."""
    models = services.get(ModelService)
    for spec in models.connections():
        if not spec.where:
            continue
        try:
            models.connection(spec.name)
        except ConnectionFault as error:
            says = f"{error.message}: {error.fix}" if error.fix else error.message
            yield Finding(subject=f"connection {spec.name}", state="note", says=says)
        else:
            yield Finding(subject=f"connection {spec.name}", state="ok", says=f"{spec.type}, complete")


def findings(services: Services) -> Iterator[Finding]:
    """Run the checks of the house, then those that rooms and plug-ins bring (group `pilothouse.checks`)."""
    own: list[tuple[str, Check]] = [
        ("python", check_python),
        ("project", check_project),
        ("database", check_database),
        ("disk", check_disk),
        ("extras", check_extras),
        ("local models", check_models),
        ("connections", check_connections),
    ]
    for subject, check in [*own, *plugins.load_all("checks").items()]:
        try:
            yield from check(services)
        except PilothouseError as error:
            yield Finding(subject=subject, state="fail", says=str(error))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")
@click.pass_obj
def doctor(services: Services, as_json: bool) -> int:
    """Check this installation and project; leaves with 1 when something fails."""
    found = list(findings(services))
    if as_json:
        emit_json(found)
    else:
        shown = table(None, ["", "Subject", "What stands"])
        for finding in found:
            shown.add_row(MARKS[finding.state], Text(finding.subject), Text(finding.says))
        console().print(shown)
    return 1 if any(finding.state == "fail" for finding in found) else 0
