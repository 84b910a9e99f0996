"""`pf connection`, `pf tool`, `pf config`, `pf trace`, `pf service`, `pf upgrade`, `pf experiment`."""

from __future__ import annotations

import argparse
from typing import Any

from pilothouse.cli.promptflow.grammar import Answer, Command, Given, Meaning, Noun, Words, pairs
from pilothouse.core.errors import NotFound, UserError, nearest_hint

_NO_TELEMETRY = "Pilothouse has no telemetry: nothing to set"
_NO_SERVICE = "no service is needed: commands do their work themselves, and traces are written by each of them"

#: What each setting of prompt flow is here, and whether it can be as wished.
_SETTINGS: dict[str, str] = {
    "telemetry.enabled": _NO_TELEMETRY,
    "extension.telemetry_enabled": _NO_TELEMETRY,
    "cli.installation_id": _NO_TELEMETRY,
    "user_agent": _NO_TELEMETRY,
    "service.host": _NO_SERVICE,
    "enable_internal_features": "nothing is hidden behind a setting",
    "connection.provider": "connections are files in the project's connections/ folder; nothing to set",
    "trace.destination": "traces stay in the project's .pilothouse/ folder (pilothouse trace list); nothing to set",
    "run.output_path": "runs are kept in the project's .pilothouse/ folder; nothing to set. "
    "pilothouse run export NAME --to DIR --format promptflow writes the old layout",
}
_TRACES_OFF = "to record no traces, write `tracing: {enabled: false}` into pilothouse.yaml"
_REMOTE = (
    "Azure ML workspaces are not read: write the connections as files with references to keys (pilothouse connection "
    "add), and send traces with OTEL_EXPORTER_OTLP_ENDPOINT where you collect them"
)


def add_connection(nouns: Any) -> None:
    """Add the verbs of `pf connection`."""
    noun = Noun(nouns, "connection", "Connections to models and other services.")
    create = noun.verb("create", "pilothouse connection create --file FILE", _create)
    create.add_argument("--file", "-f", required=True, metavar="FILE")
    create.add_argument("--name", "-n")
    pairs(create, "--set")
    update = _named(noun.verb("update", "pilothouse connection update NAME --set KEY=VALUE", _update))
    pairs(update, "--set")
    _named(noun.verb("show", "pilothouse connection show NAME", _show))
    listed = noun.verb("list", "pilothouse connection list", _list)
    listed.add_argument("--max-results", "-r", type=int, metavar="N")
    listed.add_argument("--all-results", action="store_true")
    delete = _named(noun.verb("delete", "pilothouse connection delete NAME", _delete))
    delete.add_argument("--yes", "--assume-yes", "-y", action="store_true")


def _named(parser: Words) -> Words:
    parser.add_argument("--name", "-n", required=True)
    return parser


def _create(given: Given) -> Meaning:
    made = Command("connection", "create", "--file", given.file)
    made.value("--name", given.name)
    made.each("--set", given.set)
    made.arguments += ["--replace", "--json"]
    return made


def _update(given: Given) -> Meaning:
    made = Command("connection", "update", given.name)
    made.each("--set", given.set)
    made.flag("--json", True)
    return made


def _show(given: Given) -> Meaning:
    return Command("connection", "show", given.name, "--json")


def _list(given: Given) -> Meaning:
    made = Command("connection", "list", "--json")
    made.ignored("--max-results", given.max_results, "all connections of the project are listed")
    return made


def _delete(given: Given) -> Meaning:
    made = Command("connection", "delete", given.name)
    made.flag("--yes", given.yes)
    return made


def add_tool(nouns: Any) -> None:
    """Add the verbs of `pf tool`."""
    noun = Noun(nouns, "tool", "Tools that flows are made of.")
    listed = noun.verb("list", "pilothouse flow tools", _tools)
    listed.add_argument("--flow", metavar="PATH")
    validate = noun.verb("validate", "pilothouse flow tools --check", _check)
    validate.add_argument("--source", required=True)
    init = noun.verb("init", "nothing: a tool is a function", _new_tool)
    init.add_argument("--tool", required=True, metavar="NAME")
    init.add_argument("--package", metavar="NAME")
    pairs(init, "--set")


def _tools(given: Given) -> Meaning:
    made = Command("flow", "tools", "--json")
    made.ignored("--flow", given.flow, f"pilothouse flow show {given.flow} shows the tools of one flow")
    return made


def _check(given: Given) -> Meaning:
    if given.source.endswith(".py"):
        return Answer(
            "a tool in a script is checked with its flow: pilothouse flow validate PATH, or run alone: "
            "pilothouse flow test PATH --node NAME",
            exit_code=2,
        )
    return Command("flow", "tools", "--check", notes=[f"all installed tools are checked, not {given.source} alone"])


def _new_tool(given: Given) -> Meaning:
    package = " and name it in the entry-point group `package_tools` of your package" if given.package else ""
    return Answer(
        f"a tool is a Python function under @tool: write `from pilothouse import tool` and "
        f"`@tool def {given.tool}(...)` into {given.tool}.py{package}",
        exit_code=2,
    )


def add_config(nouns: Any) -> None:
    """Add the verbs of `pf config`."""
    noun = Noun(nouns, "config", "Settings of prompt flow, and what they are here.")
    change = noun.verb("set", "nothing: pilothouse.yaml holds a project's settings", _set)
    change.add_argument("settings", nargs="+", metavar="KEY=VALUE")
    change.add_argument("--path", help=argparse.SUPPRESS)
    noun.verb("show", "pilothouse doctor", _doctor)


def _doctor(_given: Given) -> Meaning:
    return Command("doctor")


def _set(given: Given) -> Meaning:
    lines: list[str] = []
    exit_code = 0
    for text in given.settings:
        key, equals, value = text.strip("'\"").partition("=")
        if not equals:
            raise UserError(f"'{text}' is not a setting", where="pf config set", expected="KEY=VALUE")
        if key not in _SETTINGS:
            raise NotFound(f"prompt flow has no setting '{key}'", expected=nearest_hint(key, _SETTINGS))
        wishes_more = value.startswith("azureml") or key == "run.output_path"
        says = _REMOTE if value.startswith("azureml") else _SETTINGS[key]
        lines.append(f"{key}: {_TRACES_OFF if (key, value) == ('trace.destination', 'none') else says}")
        exit_code = 2 if wishes_more else exit_code
    return Answer("\n".join(lines), exit_code=exit_code)


def add_rest(nouns: Any) -> None:
    """Add what has no counterpart: traces to delete, the service, the upgrade, experiments."""
    noun = Noun(nouns, "trace", "Traces.")
    delete = noun.verb("delete", "nothing: traces have an age limit", _delete_traces)
    for flag in ("--run", "--collection", "--started-before"):
        delete.add_argument(flag)
    delete.add_argument("--yes", "--assume-yes", "-y", action="store_true")
    service = Noun(nouns, "service", "Prompt flow's background service.")
    start = service.verb("start", "nothing: no service is needed", _no_service)
    start.add_argument("--port", "-p", type=int)
    start.add_argument("--force", action="store_true")
    service.verb("stop", "nothing: there is none", _no_service)
    service.verb("status", "nothing: there is none", _no_service)
    upgrade: Words = nouns.add_parser("upgrade", help="pip install --upgrade pilothouse")
    upgrade.add_argument("--yes", "--assume-yes", "-y", action="store_true")
    upgrade.set_defaults(rewrite=_upgrade, parser=upgrade)
    experiment: Words = nouns.add_parser("experiment", help="pilothouse experiment")
    experiment.add_argument("anything", nargs=argparse.REMAINDER)
    experiment.set_defaults(rewrite=_experiment, parser=experiment)


def _no_service(_given: Given) -> Meaning:
    return Answer(_NO_SERVICE)


def _upgrade(_given: Given) -> Meaning:
    return Answer("packages are upgraded by what installed them: pip install --upgrade pilothouse", exit_code=2)


def _experiment(_given: Given) -> Meaning:
    return Answer(
        "prompt flow's experiments were never released; ours are: pilothouse experiment run FILE", exit_code=2
    )


def _delete_traces(given: Given) -> Meaning:
    wanted = f" The traces of one run: pilothouse trace list --run {given.run}." if given.run else ""
    return Answer(
        "single traces are not deleted: their store is written once, so that nothing recorded is lost. Write "
        "`tracing: {retention_days: 30}` into pilothouse.yaml and older ones are dropped; without a project that is "
        f"still needed, remove its .pilothouse/ folder.{wanted}",
        exit_code=2,
    )
