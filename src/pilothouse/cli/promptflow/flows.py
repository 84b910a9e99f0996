"""`pf flow`."""

from __future__ import annotations

import argparse
from typing import Any

from pilothouse.cli.promptflow.grammar import Answer, Command, Given, Meaning, Noun, Words, pairs, variables

_ONE_SERVER = "there is one server here"
_PROVIDER = "connections are files of the project"


def add_flow(nouns: Any) -> None:
    """Add the verbs of `pf flow`."""
    noun = Noun(nouns, "flow", "Make, try, check, build and serve flows.")
    _add_init(noun.verb("init", "pilothouse flow init", _init))
    _add_test(noun.verb("test", "pilothouse flow test", _test))
    validate = noun.verb("validate", "pilothouse flow validate", _validate)
    validate.add_argument("--source", required=True, metavar="PATH")
    _add_build(noun.verb("build", "pilothouse flow build", _build))
    _add_serve(noun.verb("serve", "pilothouse flow serve", _serve))
    save = noun.verb("save", "nothing: a flow.flex.yaml is one line", _save)
    save.add_argument("--entry", required=True, metavar="MODULE:NAME")
    save.add_argument("--code", metavar="PATH")
    save.add_argument("--path", metavar="PATH")


def _add_init(parser: Words) -> None:
    parser.add_argument("--flow", required=True, metavar="NAME")
    parser.add_argument("--type", choices=["standard", "evaluation", "chat"])
    parser.add_argument("--entry", metavar="FILE")
    parser.add_argument("--function", metavar="NAME")
    pairs(parser, "--prompt-template")
    parser.add_argument("--connection", help=argparse.SUPPRESS)
    parser.add_argument("--deployment", help=argparse.SUPPRESS)
    parser.add_argument("--yes", "--assume-yes", "-y", action="store_true")


def _init(given: Given) -> Meaning:
    made = Command("flow", "init", "--flow", given.flow)
    for flag in ("type", "entry", "function"):
        made.value(f"--{flag}", getattr(given, flag))
    made.each("--prompt-template", given.prompt_template)
    made.ignored("--yes", given.yes, "nothing is asked, and nothing is overwritten")
    made.ignored(
        "--connection", given.connection or given.deployment, "the flow runs at once; name it in flow.dag.yaml"
    )
    return made


def _add_test(parser: Words) -> None:
    parser.add_argument("--flow", required=True, metavar="PATH")
    parser.add_argument("--node", metavar="NAME")
    parser.add_argument("--variant", metavar="'${NODE.ID}'")
    parser.add_argument("--interactive", action="store_true")
    parser.add_argument("--ui", "--multi-modal", action="store_true")
    parser.add_argument("--input", help=argparse.SUPPRESS)
    pairs(parser, "--inputs", about="KEY=VALUE, or a file")
    pairs(parser, "--init")
    pairs(parser, "--environment-variables", least="*", about="KEY=VALUE, or a .env file")
    parser.add_argument("--collection", metavar="NAME")
    for flag in ("--detail", "--port", "--experiment"):
        parser.add_argument(flag, help=argparse.SUPPRESS)
    parser.add_argument("--skip-open-browser", action="store_true", help=argparse.SUPPRESS)
    for flag in ("--config", "--url-params"):
        pairs(parser, flag, about=argparse.SUPPRESS)


def _test(given: Given) -> Meaning:
    if given.experiment is not None:
        return Answer("experiments are a noun of their own: pilothouse experiment run FILE", exit_code=2)
    named, files, notes = variables(given.environment_variables)
    made = Command("flow", "test", given.flow, notes=notes, environment={**files, **_as_mapping(named)})
    made.value("--node", given.node)
    made.value("--variant", given.variant)
    made.flag("--interactive", given.interactive)
    made.flag("--ui", given.ui)
    made.value("--inputs", given.input)
    made.each("--inputs", given.inputs)
    made.each("--init", given.init)
    made.ignored("--collection", given.collection, "every test is a trace; pilothouse trace list --flow NAME")
    made.ignored("--detail", given.detail, "every node's result is on the screen, in --json, and in the trace")
    made.ignored("--config", given.config, _PROVIDER)
    made.ignored("--port", given.port or given.url_params, "the page finds a free port")
    made.ignored("--skip-open-browser", given.skip_open_browser, "pilothouse flow serve opens none unless asked")
    return made


def _as_mapping(texts: list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (text.partition("=") for text in texts)}


def _validate(given: Given) -> Meaning:
    return Command("flow", "validate", given.source)


def _add_build(parser: Words) -> None:
    parser.add_argument("--source", required=True, metavar="PATH")
    parser.add_argument("--output", "-o", required=True, metavar="DIR")
    parser.add_argument("--format", "-f", choices=["docker", "executable"])
    parser.add_argument("--variant", "-v", metavar="'${NODE.ID}'")
    parser.add_argument("--flow-only", action="store_true", help=argparse.SUPPRESS)


def _build(given: Given) -> Meaning:
    made = Command("flow", "build", given.source, "--output", given.output, "--format", given.format or "folder")
    made.value("--variant", given.variant)
    made.ignored("--flow-only", given.flow_only, "the folder of a build holds the flow in `flow/`")
    return made


def _add_serve(parser: Words) -> None:
    parser.add_argument("--source", required=True, metavar="PATH")
    parser.add_argument("--port", type=int)
    parser.add_argument("--host")
    parser.add_argument("--engine", metavar="flask|fastapi")
    parser.add_argument("--static_folder", help=argparse.SUPPRESS)
    pairs(parser, "--environment-variables", least="*", about="KEY=VALUE, or a .env file")
    pairs(parser, "--init")
    pairs(parser, "--config", about=argparse.SUPPRESS)
    parser.add_argument("--skip-open-browser", action="store_true")


def _serve(given: Given) -> Meaning:
    named, files, notes = variables(given.environment_variables)
    made = Command("flow", "serve", given.source, notes=notes, environment=files)
    made.value("--host", given.host)
    made.value("--port", given.port)
    made.each("--environment-variables", named)
    made.each("--init", given.init)
    made.flag("--skip-open-browser", given.skip_open_browser)
    made.ignored("--engine", given.engine, _ONE_SERVER)
    made.ignored("--static_folder", given.static_folder, "the page comes with the server")
    made.ignored("--config", given.config, _PROVIDER)
    return made


def _save(given: Given) -> Meaning:
    folder = given.path or given.code or "."
    return Answer(
        f"a flex flow is the file {folder.rstrip('/')}/flow.flex.yaml with the line `entry: {given.entry}`: write it, "
        f"then try it with: pilothouse flow test {folder}",
        exit_code=2,
    )
