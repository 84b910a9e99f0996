"""What the smaller files tell: requirements, templates, `.env`, connections, run files, deployment settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, FlowError, UserError
from pilothouse.core.yaml import Document
from pilothouse.experiments.migration.checks.flows import refusal
from pilothouse.experiments.migration.checks.modules import REQUIREMENTS
from pilothouse.experiments.migration.checks.yaml_words import check_words, read_text
from pilothouse.experiments.migration.types import Finding, change, note
from pilothouse.experiments.runs.runfile import load_run_file
from pilothouse.flows.prompts.templates import read_template
from pilothouse.models.connections import read_connection

_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")
_ENDPOINTS = ("azure_managed_endpoint", "kubernetes_endpoint", "webapp_endpoint")
_OWN_FILTER = re.compile(r"No (filter|test) named")
_SECRET_WORD = re.compile(r"KEY|SECRET|TOKEN|PASSWORD", re.IGNORECASE)


def check_requirements(path: Path) -> Iterator[Finding]:
    """Yield a note for each distribution that ties the project to prompt flow's runtime or to Azure ML."""
    try:
        lines = read_text(path).splitlines()
    except ConfigError as error:
        yield refusal(error, path)
        return
    for number, line in enumerate(lines, 1):
        match = _REQUIREMENT.match(line)
        name = re.sub(r"[_.-]+", "-", match["name"]).lower() if match else ""
        reason = REQUIREMENTS.get(name)
        if match and reason:
            yield note(f"'{match['name']}': {reason}", number, "remove the line when the flow no longer imports it")


def check_template(path: Path) -> Iterator[Finding]:
    """Yield what keeps a Jinja template from being compiled."""
    try:
        read_template(path)
    except FlowError as error:
        found = refusal(error, path)
        # A page of the project's own code may have filters of its own; a flow that uses it is refused as a whole.
        is_own = _OWN_FILTER.search(error.message) is not None
        yield note(f"{found.message} No prompt can use it", found.line) if is_own else found


def check_dotenv(path: Path) -> Iterator[Finding]:
    """Yield what is to be known of a `.env` file; values are never shown."""
    try:
        # Also refuses what `pilothouse` itself could not read later.
        Environment.load(path.parent)
        lines = read_text(path).splitlines()
    except UnicodeDecodeError as error:
        yield change(f"byte {error.start} is not UTF-8", "save the file as UTF-8")
        return
    except (ConfigError, OSError) as error:
        yield (
            refusal(error, path) if isinstance(error, ConfigError) else change(str(error.strerror), "make it readable")
        )
        return
    for number, line in enumerate(lines, 1):
        name, _, value = line.partition("=")
        if value.strip().strip("'\"").startswith("{"):
            yield note(
                f"{name.strip()} holds a connection as JSON, an older form of the GenAIOps template",
                number,
                "give each secret a variable of its own, such as <CONNECTION>_API_KEY=...",
            )


def check_connection(path: Path) -> Iterator[Finding]:
    """Yield what keeps a connection file from being used."""
    try:
        yield from check_words(read_text(path))
        spec = read_connection(path)
    except UserError as error:
        yield refusal(error, path)
        return
    if spec.texts.get("auth_mode") == "meid_token":
        yield note(
            "it signs in with Microsoft Entra, which Pilothouse does not do by itself",
            fix=f"give a token in the environment as {spec.override('token')}",
        )


def check_run_file(path: Path, root: Path) -> Iterator[Finding]:
    """Yield what keeps a run file from being run."""
    try:
        yield from check_words(read_text(path))
        spec, ignored = load_run_file(path, root)
    except UserError as error:
        yield refusal(error, path)
        return
    for text in ignored:
        yield note(text)
    for what, place in (("flow", spec.flow), ("data", spec.data)):
        is_path = place is not None and not place.startswith("dataset:")
        if place is not None and is_path and not (root / place).exists():
            far = place.partition(":")[0] in {"azureml", "https", "http", "wasbs", "abfss"} or "azureml:" in place
            yield change(
                f"its {what} is in Azure: {place}" if far else f"its {what} does not exist: {place}",
                f"bring it to this machine and write its path under {what}:",
            )


def check_deployment(path: Path) -> Iterator[Finding]:
    """Yield what a deployment file of the GenAIOps template asks for that nothing here does."""
    try:
        data: Any = json.loads(read_text(path))
    except ConfigError as error:
        yield refusal(error, path)
        return
    except (ValueError, RecursionError) as error:
        yield change(f"this is not JSON: {error}", "mend the file", getattr(error, "lineno", None))
        return
    blocks = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    for name in _ENDPOINTS:
        if name in blocks:
            yield note(f"'{name}' describes a deployment by the template's pipelines: nothing here reads it")
    if not any(name in blocks for name in _ENDPOINTS):
        yield note("none of the deployments of the GenAIOps template stands in it")


def check_azure_file(document: Document) -> Iterator[Finding]:
    """Yield what becomes of an endpoint, deployment or job of Azure ML."""
    schema = str(cast("dict[str, Any]", document.data).get("$schema", ""))
    if "online" in schema.lower():
        yield note(
            "describes an endpoint of Azure ML: nothing here reads it",
            document.line("$schema"),
            "pilothouse flow build PATH writes a container that answers /score and /health as the endpoint did",
        )
    else:
        yield note("describes something of Azure ML: nothing here reads it", document.line("$schema"))


def check_environment_file(document: Document) -> Iterator[Finding]:
    """Yield a note for the template's `environment/env.yaml`."""
    yield note("names an Azure ML workspace for the template's pipelines: nothing here reads it")
    for name, value in cast("dict[str, Any]", document.data).items():
        if isinstance(value, str) and value and not value.startswith("${") and _SECRET_WORD.search(str(name)):
            yield change(f"'{name}' may hold a secret in the clear", f"write {name}: ${{{name}}}", document.line(name))
