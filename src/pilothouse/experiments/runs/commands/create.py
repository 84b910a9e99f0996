"""`run create`: a run from options, a run file, or a past run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from pilothouse.core.environment import names_a_secret
from pilothouse.core.errors import UserError
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE
from pilothouse.core.structs import convert
from pilothouse.core.terminal import console
from pilothouse.experiments.runs.commands.options import (
    compute_option,
    isolation_option,
    record_option,
    workers_option,
)
from pilothouse.experiments.runs.commands.printing import finish
from pilothouse.experiments.runs.commands.watching import watch
from pilothouse.experiments.runs.runfile import (
    apply_settings,
    load_run_file,
    named,
    parse_pairs,
    parse_variants,
    within,
)
from pilothouse.experiments.runs.service import RunService
from pilothouse.experiments.runs.types import RunSpec
from pilothouse.flows.nodes.opening import INIT

_PLAIN = (
    "id_column", "source_run", "name", "display_name", "description", "concurrency", "repeat", "limit", "timeout",
    "isolation", "compute", "workers", "max_failures",
)  # fmt: skip
_PAIRS = ("column_mapping", "tags")


@click.command()
@click.option("--flow", "flow_path", type=click.Path(path_type=Path), help="The flow's folder or file.")
@click.option("--data", help="A data file or folder, or dataset:NAME[:VERSION|@ALIAS].")
@click.option("--id-column", help="The column of a data file that names its rows.")
@click.option("--run", "source_run", help="A run whose outputs are judged (name, id or 'latest').")
@click.option("--column-mapping", "-m", multiple=True, help="INPUT='${data.column}', ${run.outputs.x} or a literal.")
@click.option("--variant", "-v", multiple=True, help="'${node.variant_id}'; once for each node.")
@click.option("--connections", multiple=True, help="NODE.PARAMETER=VALUE, such as classify.connection=azure.")
@click.option("--environment-variables", multiple=True, help="KEY=VALUE or a .env file, for the flow's code.")
@click.option("--init", multiple=True, help="KEY=VALUE, an argument of the class of a flex flow.")
@click.option("--file", "-f", "run_file", type=click.Path(path_type=Path, exists=True), help="A run file (run.yml).")
@click.option("--set", "settings", multiple=True, help="KEY=VALUE in the words of a run file, such as tags.team=a.")
@click.option("--again", metavar="RUN", help="The spec of a past run.")
@click.option("--resume-from", metavar="RUN", help="A new run that keeps the completed rows of an ended one.")
@click.option("--force", is_flag=True, help="With --resume-from: keep rows though flow, data or choices changed.")
@click.option("--name", "-n", help="A unique name.")
@click.option("--display-name", help="A name for people.")
@click.option("--description", help="What the run is for.")
@click.option("--tags", "--tag", "tags", multiple=True, help="KEY=VALUE.")
@click.option("--concurrency", type=click.IntRange(1), help="Rows in flight.")
@click.option("--repeat", type=click.IntRange(1), help="Times every row is run.")
@click.option("--limit", type=click.IntRange(1), help="Only the first rows.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds a row may take.")
@isolation_option
@compute_option
@workers_option
@click.option("--max-failures", type=click.IntRange(0), help="Failed rows that are accepted; 0 by default.")
@click.option("--no-cache", is_flag=True, help="Call every node anew.")
@click.option("--stream", is_flag=True, help="Show progress, which is done in any case.")
@record_option
@click.pass_obj
def create(services: Services, as_json: bool, stream: bool, force: bool, **given: Any) -> int:
    """Run a flow over every row of some data."""
    runs = services.get(RunService)
    base, notes = _base(runs, services.root, given)
    spec, ignored = _spec(services.root, base, given)
    for note in (*notes, *ignored, *_foreign(services.root, spec)):
        console(stderr=True).print(f"note: {note}", markup=False)
    resumed = given["resume_from"]
    ended = watch(
        services,
        lambda stop, show: runs.execute(spec, resume_from=resumed, force=force, stop=stop, on_progress=show),
        prints_aside=as_json,
    )
    return finish(runs, ended, as_json=as_json)


def _base(runs: RunService, root: Path, given: dict[str, Any]) -> tuple[RunSpec | None, list[str]]:
    """Return the spec that the command line changes: of a run file, of a past run, or none."""
    sources = {"--file": given["run_file"], "--again": given["again"], "--resume-from": given["resume_from"]}
    named_sources = [option for option, value in sources.items() if value is not None]
    if len(named_sources) > 1:
        raise UserError(f"{' and '.join(named_sources)} are given", expected="one of them")
    if given["run_file"] is not None:
        return load_run_file(given["run_file"], root)
    past = given["again"] or given["resume_from"]
    if past is None:
        return None, []
    found = runs.get(past)
    source = {"source_run": found.source_run} if found.source_run is not None else {}
    return msgspec.structs.replace(found.spec, name=None, experiment=None, **source), []


def _spec(root: Path, base: RunSpec | None, given: dict[str, Any]) -> tuple[RunSpec, list[str]]:
    """Return the base spec, changed by `--set` and then by the options, and what was ignored."""
    fields: dict[str, Any] = msgspec.to_builtins(base) if base is not None else {}
    file: Path | None = given["run_file"]
    ignored = apply_settings(fields, given["settings"], file.parent if file is not None else Path(), root)
    if given["flow_path"] is not None:
        fields["flow"] = within(root, named(root, given["flow_path"]))
    if given["data"] is not None:
        is_version = given["data"].startswith("dataset:")
        fields["data"] = given["data"] if is_version else within(root, named(root, Path(given["data"])))
    fields |= {key: given[key] for key in _PLAIN if given[key] is not None}
    more = {key: parse_pairs(given[key], f"--{key.replace('_', '-')}") for key in _PAIRS}
    more["environment_variables"] = _variables(fields, root, given["environment_variables"])
    more["variants"] = parse_variants(given["variant"])
    for key, pairs in more.items():
        fields[key] = {**fields.get(key, {}), **pairs}
    _connect(fields, given["connections"], given["init"])
    if given["no_cache"]:
        fields["use_cache"] = False
    if "flow" not in fields:
        raise UserError("a run needs a flow", expected="--flow PATH or --file run.yml")
    return convert(fields, RunSpec, where="--set", error=UserError), ignored


def _variables(fields: dict[str, Any], root: Path, texts: Sequence[str]) -> dict[str, str]:
    """Return the variables that are named; a file of them is noted in the fields of a spec, and its values nowhere.

    Raises:
        UserError: a secret stands in the clear, which would be recorded and shown to who may read runs.
    """
    files = [text for text in texts if "=" not in text and Path(text).is_file()]
    if len(files) > 1:
        raise UserError(f"{len(files)} files of variables are given", where="--environment-variables", expected="one")
    if files:
        fields["environment_file"] = within(root, Path(files[0]))
    variables = parse_pairs([text for text in texts if text not in files], "--environment-variables")
    for name, value in variables.items():
        if names_a_secret(name) and "${" not in value:
            raise UserError(
                f"'{name}' looks like a secret, and the settings of a run are recorded",
                where="--environment-variables",
                expected=f"a reference, such as {name}='${{env:{name}}}'",
                fix=f"put it into the project's .env, or in front of the command: {name}=... pilothouse run create ...",
            )
    return variables


def _connect(fields: dict[str, Any], connections: Sequence[str], init: Sequence[str]) -> None:
    """Write other connections and the arguments of a flow's class into the fields of a spec."""
    if connections:
        # As a whole in place of those of the run file: half of one connection and half of another fit nothing.
        kept = {INIT: fields.get("connections", {})[INIT]} if INIT in fields.get("connections", {}) else {}
        fields["connections"] = {**kept, **_connections(connections)}
    if init:
        given = fields.get("connections", {})
        fields["connections"] = {**given, INIT: {**given.get(INIT, {}), **parse_pairs(init, "--init")}}


def _connections(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, value in parse_pairs(texts, "--connections").items():
        node, dot, parameter = key.partition(".")
        if not dot:
            raise UserError(f"'{key}={value}' names no node", where="--connections", expected="NODE.PARAMETER=VALUE")
        found.setdefault(node, {})[parameter] = value
    return found


def _foreign(root: Path, spec: RunSpec) -> list[str]:
    """Return a word on a flow of another project: its connections are not the ones that are used."""
    flow = (root / spec.flow).resolve()
    home = next((folder for folder in (flow, *flow.parents) if (folder / FILE).is_file()), None)
    if home is None or home == root.resolve():
        return []
    return [
        f"the flow is of the project {home}, but settings and connections are those of {root}; pilothouse -C {home}"
    ]
