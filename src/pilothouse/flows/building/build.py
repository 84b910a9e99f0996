"""A flow made into a build: its files, its connections without their secrets, its packages, the way to start it."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import yaml
from msgspec import Struct

from pilothouse.core.errors import FlowError
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE as SETTINGS
from pilothouse.core.version import VERSION
from pilothouse.core.yaml import load_yaml
from pilothouse.flows.building.connections import connections_part, named_connections
from pilothouse.flows.building.imports import unlocked_imports
from pilothouse.flows.building.packages import WHEELS, given_lock, packages_part
from pilothouse.flows.building.sources import flow_part, same_data
from pilothouse.flows.building.types import FLOW, Build, Content, Format, Part
from pilothouse.flows.building.variables import flow_variables
from pilothouse.flows.settings import FlowSettings
from pilothouse.flows.types import Flow, FlowInput
from pilothouse.models.service import ModelService

PORT: Final = 8080
# The sections of the project's settings that decide what a flow does; the others are of the place.
_SECTIONS: Final = ("flows", "models", "tracing")
_OF_THE_PLACE: Final = {"models": ("connections", "cache")}
_EXAMPLES: Final[dict[str, Any]] = {"int": 1, "double": 1.0, "bool": True, "list": [], "object": {}}
_TEMPLATES: Final = Path(__file__).parent / "templates"


class Wishes(Struct, frozen=True, kw_only=True):
    """What the user says about a build.

    Attributes:
        format: A folder, or the context of a container.
        port: Where the flow is served.
        base: The image that the container starts from; empty for the slim image of this Python.
        lock: A lock of the user's own.
    """

    format: Format = "folder"
    port: int = PORT
    base: str = ""
    lock: Path | None = None


def make_build(flow: Flow, services: Services, wishes: Wishes, *, output: Path) -> Build:
    """Return the build of a flow; nothing is written.

    Args:
        flow: The flow, its variants chosen.
        services: The project.
        wishes: What is asked for.
        output: The folder that it will be written to, which is no part of it.

    Raises:
        FlowError: when the flow cannot be built: it stands in no file, or a secret stands in its own.
        ConfigError: when a package that is needed is not installed here.
        ConnectionFault: when a connection is missing.
    """
    if flow.kind == "function":
        raise FlowError(
            f"'{flow.entry}' is a function without a flow's file",
            where=str(flow.path),
            fix="pilothouse flow init --flow FOLDER --entry FILE.py --function NAME",
        )
    models = services.get(ModelService)
    default = services.settings.section(FlowSettings).default_connection
    sources = flow_part(flow, without=output.resolve())
    specs = named_connections(flow, models.files, default)
    connections = connections_part(specs, models.files, services.root)
    extras = ("local", "serve") if any(spec.type == "local" for spec in specs) else ("serve",)
    is_docker = wishes.format == "docker"
    packages = given_lock(wishes.lock) if wishes.lock else packages_part(flow, extras=extras, for_linux=is_docker)
    variables = {item.name: item for item in (*flow_variables(flow, sources.files), *connections.variables)}
    files: dict[str, Content] = {**sources.files, **connections.files, **packages.files}
    files[SETTINGS] = _settings(services.root / SETTINGS)
    made = Build(
        name=flow.name,
        format=wishes.format,
        files=files,
        variables=tuple(variables[name] for name in sorted(variables)),
        notes=(*sources.notes, *connections.notes, *packages.notes, *_notes(flow, sources, packages, wishes)),
    )
    files |= _rendered(made, flow, wishes)
    return made


def _notes(flow: Flow, sources: Part, packages: Part, wishes: Wishes) -> list[str]:
    lock = packages.files["requirements.txt"]
    text = (lock if isinstance(lock, bytes) else lock.read_bytes()).decode()
    locked = set(re.findall(r"^([a-z0-9][a-z0-9.-]*)(?===| @)", text, re.MULTILINE)) | {"pilothouse"}
    asked = flow.environment
    return [
        *unlocked_imports(sources.files, locked),
        *(
            [f"not used: environment.image ({asked.image}); give --base to start from another image"]
            if asked.image
            else []
        ),
        *([f"not used: {asked.conda_file}; name its packages in requirements.txt"] if asked.conda_file else []),
        *([f"not run: {asked.setup_sh}"] if asked.setup_sh and wishes.format == "folder" else []),
    ]


def _settings(path: Path) -> bytes:
    given = cast("dict[str, Any]", load_yaml(path).data or {}) if path.is_file() else {}
    kept: dict[str, Any] = {}
    for section in _SECTIONS:
        values = given.get(section)
        if isinstance(values, dict):
            dropped = _OF_THE_PLACE.get(section, ())
            kept[section] = {key: value for key, value in cast("dict[str, Any]", values).items() if key not in dropped}
    return same_data(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), kept, path).encode()


# What is written for people and machines


def _rendered(build: Build, flow: Flow, wishes: Wishes) -> dict[str, Content]:
    path = f"{FLOW}/{flow.path.name}" if flow.kind == "prompty" else FLOW
    is_docker = build.format == "docker"
    example = {name: _example(item) for name, item in flow.inputs.items()}
    values: dict[str, Any] = {
        "name": build.name,
        "description": flow.description or f"The flow {build.name}, served by Pilothouse {VERSION}.",
        "service": re.sub(r"[^a-z0-9]+", "-", build.name.lower()).strip("-") or FLOW,
        "port": wishes.port,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "variables": build.variables,
        "notes": build.notes,
        "container": is_docker,
        "example": shlex.quote(json.dumps(example, ensure_ascii=False)),
    }
    made = {
        "README.md": _render("README.md.j2", values),
        "start.sh": _render("start.sh.j2", {**values, "path": shlex.quote(path)}),
    }
    if build.variables:
        made[".env.example"] = _render("env.example.j2", values)
    if is_docker:
        setup = flow.environment.setup_sh
        container = {
            **values,
            "base": wishes.base or f"python:{values['python']}-slim-trixie",
            "title": _quoted(build.name),
            "description": _quoted(values["description"].split("\n")[0]),
            "version": VERSION,
            "digest": flow.digest,
            "has_wheel": any(name.startswith(f"{WHEELS}/") for name in build.files),
            "setup": json.dumps(setup) if setup else "",
            "path": json.dumps(path),
        }
        made["Dockerfile"] = _render("Dockerfile.j2", container)
        made["compose.yaml"] = _render("compose.yaml.j2", values)
        made[".dockerignore"] = _render("dockerignore.j2", values)
    return cast("dict[str, Content]", made)


def _example(item: FlowInput) -> Any:
    return item.default if item.has_default else _EXAMPLES.get(item.type, "...")


def _quoted(text: str) -> str:
    """Return a text as a word of a Dockerfile in which nothing is replaced."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _render(name: str, values: Mapping[str, Any]) -> bytes:
    import jinja2

    # What is written here is no HTML: nothing is to be escaped.
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name).render(values).encode()
