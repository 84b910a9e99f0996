"""The report of a folder: every file below it is read, or named as not read. No code of it is run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast

from pilothouse.core.errors import ConfigError, UserError
from pilothouse.core.yaml import Document, parse_yaml
from pilothouse.experiments.design.file import read_file
from pilothouse.experiments.migration.checks.code import check_python
from pilothouse.experiments.migration.checks.data_files import check_data
from pilothouse.experiments.migration.checks.flows import check_flow, refusal
from pilothouse.experiments.migration.checks.notebooks import check_notebook
from pilothouse.experiments.migration.checks.packages import check_conda, check_pyproject
from pilothouse.experiments.migration.checks.scripts import check_lines, check_script
from pilothouse.experiments.migration.checks.settings_files import (
    check_azure_file,
    check_connection,
    check_deployment,
    check_dotenv,
    check_environment_file,
    check_requirements,
    check_run_file,
    check_template,
)
from pilothouse.experiments.migration.checks.yaml_words import check_words, read_text
from pilothouse.experiments.migration.conversion import convert_template
from pilothouse.experiments.migration.template import is_template, overlay_of, read_template_file
from pilothouse.experiments.migration.types import FileReport, Finding, Report, change, note, strongest
from pilothouse.experiments.migration.walk import Found, projects, walk
from pilothouse.flows.types import FlowInput

Findings = Iterable[Finding]

_SIMPLE: Final[dict[str, Callable[[Path], Findings]]] = {
    "python": check_python,
    "template": check_template,
    "requirements": check_requirements,
    "deployment": check_deployment,
    "dotenv": check_dotenv,
    "script": check_script,
    "notebook": check_notebook,
    "pyproject": check_pyproject,
}
_UNREAD: Final = {
    "link": "a link: what it leads to is checked where it is",
    "folder": "a folder of tools or histories, or one that may not be read: nothing in it was looked at",
    "hidden": "in a hidden folder, where tools keep their settings",
    "other": "a kind of file that this report does not know",
}
_OURS: Final = re.compile(r"^(flow|type|nodes|datasets|evaluators|column_mapping|api_key|secrets)\s*:", re.MULTILINE)
_FLOWS: Final = ("dag flow", "flex flow", "prompty")
_RUN_KEYS: Final = frozenset({"data", "run", "column_mapping", "variant"})
_PIPELINE_KEYS: Final = frozenset({"jobs", "steps", "stages", "pool", "runs"})
_CONNECTION_KEYS: Final = frozenset({"api_key", "api_base", "endpoint", "configs", "secrets", "base_url"})


def check_folder(root: Path) -> Report:
    """Return the report of everything below ``root``, which may be one file.

    Raises:
        NotFound: when nothing is there.
    """
    root = root.resolve()
    found = list(walk(root))
    with warnings.catch_warnings():
        # What Python merely frowns at (an escape such as "\\d" in a text) is no reason to change a file.
        warnings.simplefilter("ignore")
        return _Check(root, found).report()


class _Check:
    """One check: what files told, and what only several of them tell together."""

    def __init__(self, root: Path, found: list[Found]) -> None:
        self._root = root if root.is_dir() else root.parent
        self._found = found
        self._projects = projects(root, found)
        self._columns: dict[str, dict[str, str]] = {}
        self._defaults: dict[Path, tuple[FlowInput, ...]] = {}

    def report(self) -> Report:
        """Read every file and return what they told."""
        told = {item.path: self._read(item) for item in self._found}
        files: list[FileReport] = []
        for path, (kind, findings, is_read) in told.items():
            every = (*findings, *self._hidden_columns(path))
            files.append(
                FileReport(
                    path=path.relative_to(self._root).as_posix(),
                    project=self._projects[path],
                    kind=kind,
                    verdict=strongest(finding.verdict for finding in every) if is_read else "unread",
                    findings=tuple(sorted(every, key=lambda finding: finding.line or 0)),
                )
            )
        return Report(root=str(self._root), files=tuple(files))

    def _read(self, item: Found) -> tuple[str, tuple[Finding, ...], bool]:
        """Return the kind of a file, its findings, and whether it was read."""
        try:
            return self._look_at(item)
        except OSError as error:
            return item.kind, (Finding(verdict="unread", message=f"it cannot be read: {error.strerror}"),), False

    def _look_at(self, item: Found) -> tuple[str, tuple[Finding, ...], bool]:
        path, kind = item.path, item.kind
        if kind in _UNREAD:
            return kind, (Finding(verdict="unread", message=_UNREAD[kind]),), False
        if kind in _FLOWS:
            flow = check_flow(path)
            self._defaults[path] = flow.defaults
            return kind, flow.findings, True
        if kind == "data":
            data = check_data(path)
            for column in data.columns:
                self._columns.setdefault(self._projects[path], {}).setdefault(column, path.name)
            # A mistake in it shows that it was looked at.
            is_read = data.read or any(finding.verdict == "change" for finding in data.findings)
            return kind, data.findings, is_read
        if kind in _SIMPLE:
            return kind, tuple(_SIMPLE[kind](path)), True
        return self._yaml(path)

    def _yaml(self, path: Path) -> tuple[str, tuple[Finding, ...], bool]:
        try:
            text = read_text(path)
        except ConfigError as error:
            return "yaml", (refusal(error, path),), True
        try:
            document = parse_yaml(text, path)
        except ConfigError as error:
            # Several documents in one file: nothing of prompt flow is written so.
            if _OURS.search(text) and "\n---" not in text.lstrip():
                return "yaml", (refusal(error, path),), True
            reason = f"a YAML file of another kind than flows, runs, connections or experiments: {error.message}"
            return "yaml", (Finding(verdict="unread", message=reason),), False
        kind = _kind_of(document)
        if kind == "connection":
            return kind, tuple(check_connection(path)), True
        if kind == "run file":
            return kind, tuple(check_run_file(path, self._root)), True
        if kind == "experiment":
            return kind, _own_experiment(path), True
        if kind == "template experiment":
            return kind, (*check_words(text, template=True), *_template_experiment(path)), True
        if kind == "environment file":
            return kind, tuple(check_environment_file(document)), True
        if kind == "conda environment":
            return kind, tuple(check_conda(document)), True
        if kind == "Azure ML file":
            return kind, tuple(check_azure_file(document)), True
        if kind == "pipeline":
            return kind, tuple(check_lines(text.splitlines())), True
        reason = "a YAML file that is no flow, run, connection or experiment"
        return kind, (Finding(verdict="unread", message=reason),), False

    def _hidden_columns(self, path: Path) -> tuple[Finding, ...]:
        columns = self._columns.get(self._projects[path], {})
        return tuple(
            note(
                f"the input '{item.name}' has a default and '{columns[item.name]}' a column of its name: without a "
                "mapping the default is taken, not the column",
                _line(item.where),
                f"map it (${{data.{item.name}}}) where the column is meant",
            )
            for item in self._defaults.get(path, ())
            if item.name in columns
        )


def _line(where: str) -> int | None:
    _, _, line = where.rpartition(":")
    return int(line) if line.isdigit() else None


def _kind_of(document: Document) -> str:
    """Return what a YAML file is, by its keys, its schema, its name and its folder."""
    if not isinstance(document.data, dict):
        return "yaml"
    data = cast("dict[str, Any]", document.data)
    path, keys, schema = document.path, set(data), str(data.get("$schema", "")).lower()
    if path.name.startswith("experiment") and is_template(data):
        return "template experiment"
    if {"flow", "data", "evaluators"} <= keys:
        return "experiment"
    if "flow" in keys and (keys & _RUN_KEYS or "run.schema" in schema):
        return "run file"
    is_named = "type" in keys and "nodes" not in keys
    if is_named and (keys & _CONNECTION_KEYS or "connection" in schema or path.parent.name == "connections"):
        return "connection"
    if path.name in {"env.yaml", "env.yml"}:
        return "environment file"
    return _kind_of_others(keys, schema)


def _kind_of_others(keys: set[str], schema: str) -> str:
    """Return what a YAML file is that prompt flow itself does not read."""
    if "azuremlschemas" in schema:
        return "Azure ML file"
    if "dependencies" in keys and keys & {"channels", "name", "prefix"}:
        return "conda environment"
    return "pipeline" if keys & _PIPELINE_KEYS else "yaml"


def _own_experiment(path: Path) -> tuple[Finding, ...]:
    try:
        read_file(path)
    except UserError as error:
        return (refusal(error, path),)
    return ()


def _template_experiment(path: Path) -> tuple[Finding, ...]:
    """Convert it as `migrate experiment` would: what that lists is what there is to know."""
    overlay = overlay_of(path)
    base, environment = overlay or (path, None)
    try:
        conversion = convert_template(read_template_file(base, environment), base.with_name("unwritten.yaml"))
    except UserError as error:
        return (refusal(error, path),)
    option = f" --env {environment}" if environment else ""
    count = len(conversion.files)
    return (
        change(
            f"the template's experiment becomes {count} experiment file{'s' if count > 1 else ''} here",
            f"pilothouse migrate experiment {base.name}{option}",
        ),
        *(note(text) for text in conversion.listed),
    )
