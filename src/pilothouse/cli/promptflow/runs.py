"""`pf run`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pilothouse.cli.promptflow.grammar import Answer, Command, Given, Meaning, Noun, Words, pairs, variables
from pilothouse.core.errors import UserError

#: Options that go over as they are: the attribute there is the flag's name, here too.
_AS_THEY_ARE = ("flow", "variant", "run", "name")
_SOURCES = ("file", "flow", "source", "resume_from")


def add_run(nouns: Any) -> None:
    """Add the verbs of `pf run`."""
    noun = Noun(nouns, "run", "Run flows over data, look at runs, keep them in order.")
    _add_create(noun.verb("create", "pilothouse run create", _create))
    update = _named(noun.verb("update", "pilothouse run update NAME --set KEY=VALUE", _update))
    pairs(update, "--set", about="display_name=, description=, tags.KEY=")
    _add_list(noun.verb("list", "pilothouse run list", _list))
    for verb in ("stream", "show", "show-metrics", "archive", "restore", "cancel"):
        _named(noun.verb(verb, f"pilothouse run {verb} NAME", _on_one(verb)))
    details = _named(noun.verb("show-details", "pilothouse run show-details NAME", _details))
    _add_most(details)
    page = noun.verb("visualize", "pilothouse run visualize NAME...", _visualize)
    page.add_argument("--names", "-n", required=True, metavar="NAME,NAME")
    page.add_argument("--html-path", metavar="FILE")
    delete = _named(noun.verb("delete", "pilothouse run delete NAME", _delete))
    delete.add_argument("--yes", "--assume-yes", "-y", action="store_true")
    build = noun.verb("build", "nothing: a flow is built", _build)
    for flags in (("--source",), ("--output", "-o"), ("--format", "-f"), ("--variant", "-v")):
        build.add_argument(*flags)


def _named(parser: Words) -> Words:
    parser.add_argument("--name", "-n", required=True)
    return parser


def _add_most(parser: Words) -> None:
    parser.add_argument("--max-results", "-r", type=int, metavar="N")
    parser.add_argument("--all-results", action="store_true")


def _add_create(parser: Words) -> None:
    parser.add_argument("--file", "-f", metavar="RUN.YML")
    parser.add_argument("--stream", "-s", action="store_true")
    for flag in ("--flow", "--data", "--variant", "--run", "--resume-from", "--source"):
        parser.add_argument(flag)
    parser.add_argument("--name", "-n")
    for flag in ("--column-mapping", "--connections", "--set", "--init"):
        pairs(parser, flag)
    pairs(parser, "--environment-variables", least="*", about="KEY=VALUE, or a .env file")


def _create(given: Given) -> Meaning:
    named = [f"--{source.replace('_', '-')}" for source in _SOURCES if getattr(given, source) is not None]
    if len(named) > 1:
        raise UserError(f"{' and '.join(named)} are given", where="pf run create", expected="one of them")
    if given.source is not None:
        return Answer(
            "a folder that prompt flow recorded is not registered again; its rows are run and compared by: "
            f"pilothouse migrate verify FLOW --against {given.source}",
            exit_code=2,
        )
    texts, files, notes = variables(given.environment_variables, by_name=True)
    made = Command("run", "create", notes=notes, environment=files)
    made.value("--file", given.file)
    for option in _AS_THEY_ARE:
        made.value(f"--{option}", getattr(given, option))
    made.value("--data", _data(given.data, given.file))
    made.value("--resume-from", given.resume_from)
    # There, rows are kept whatever became of the flow since; here that is said, and noted in the record.
    made.flag("--force", given.resume_from)
    made.each("--column-mapping", given.column_mapping)
    made.each("--connections", given.connections)
    made.each("--environment-variables", texts)
    made.each("--init", given.init)
    made.each("--set", given.set)
    made.flag("--stream", given.stream)
    made.flag("--json", True)
    return made


def _data(data: str | None, file: str | None) -> str | None:
    """Return the path of the data from here: beside a run file it is named from the file's folder."""
    if data is None or file is None or ":" in data:
        return data
    return str(Path(file).parent / data)


def _update(given: Given) -> Meaning:
    made = Command("run", "update", given.name)
    made.each("--set", given.set)
    made.flag("--json", True)
    return made


def _add_list(parser: Words) -> None:
    _add_most(parser)
    parser.add_argument("--archived-only", action="store_true")
    parser.add_argument("--include-archived", action="store_true")
    parser.add_argument("--output", "-o", choices=["table", "json"], default="json")


def _list(given: Given) -> Meaning:
    made = Command("run", "list")
    made.value("--max-results", given.max_results)
    made.flag("--all-results", given.all_results)
    made.flag("--archived-only", given.archived_only)
    made.flag("--include-archived", given.include_archived)
    made.flag("--json", given.output == "json")
    return made


def _on_one(verb: str) -> Any:
    def rewrite(given: Given) -> Meaning:
        return Command("run", verb, given.name, "--json")

    return rewrite


def _details(given: Given) -> Meaning:
    made = Command("run", "show-details", given.name)
    made.value("--max-results", given.max_results)
    made.flag("--all-results", given.all_results)
    return made


def _visualize(given: Given) -> Meaning:
    made = Command("run", "visualize", *(name.strip() for name in given.names.split(",") if name.strip()))
    made.value("--output", given.html_path)
    made.flag("--open", given.html_path is None)
    return made


def _delete(given: Given) -> Meaning:
    made = Command("run", "delete", given.name)
    made.flag("--yes", given.yes)
    return made


def _build(given: argparse.Namespace) -> Meaning:
    return Answer(
        f"a run is not built, its flow is: pilothouse flow build PATH --output {given.output or 'DIR'}", exit_code=2
    )
