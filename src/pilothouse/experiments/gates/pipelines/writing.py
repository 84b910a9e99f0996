"""Pipeline files: one template a CI server, filled in with this project's experiment."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from pilothouse.core.errors import ConfigError, Conflict, UserError
from pilothouse.core.storage.files import write_atomic
from pilothouse.experiments.design.file import read_file

Server = Literal["github", "gitlab", "azure", "jenkins"]
SERVERS: tuple[str, ...] = get_args(Server)

TARGETS: dict[Server, str] = {
    "github": ".github/workflows/pilothouse.yml",
    "gitlab": ".gitlab-ci.yml",
    "azure": "azure-pipelines.yml",
    "jenkins": "Jenkinsfile",
}
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./ -]+")
_PLAIN_LINE = re.compile(r"[^\n\r'\\]+")


def write_pipeline(root: Path, server: Server, experiment: str, install: str | None = None) -> Path:
    """Write the pipeline of a project for a CI server and return its path.

    Args:
        root: The project's folder.
        server: The CI server.
        experiment: The experiment file, from the project's folder.
        install: Shell command that installs what the project needs; ``requirements.txt`` or Pilothouse when absent.

    Raises:
        Conflict: the file exists: it is never replaced.
        UserError: the experiment cannot be read, has no gate, or its path cannot stand in a pipeline.
    """
    if not _PLAIN_PATH.fullmatch(experiment):
        raise UserError(
            f"the path '{experiment}' cannot stand in a pipeline", expected="letters, digits, spaces and . _ / -"
        )
    if install is not None and not _PLAIN_LINE.fullmatch(install):
        raise UserError(
            "the command cannot stand in a pipeline", where="--install", expected="one line without ' and \\"
        )
    file, document = read_file(root / experiment)
    if file.gate is None:
        raise ConfigError(
            "the experiment has no gate, so the pipeline would have nothing to say",
            where=document.where(),
            fix="write one: gate: {metrics: {accuracy: {at_least: 0.8}}}",
        )
    path = root / TARGETS[server]
    if path.exists():
        raise Conflict(
            f"{TARGETS[server]} exists already, and is left as it is",
            fix="take its steps over by hand: remove the file for a moment, write this one, and join the two",
        )
    needs = "requirements.txt" if (root / "requirements.txt").is_file() else None
    filled = {
        "@experiment@": shlex.quote(experiment),
        "@install@": install or ("python -m pip install " + (f"-r {needs}" if needs else "pilothouse")),
    }
    text = files("pilothouse.experiments.gates.pipelines").joinpath("templates", f"{server}.txt").read_text("utf-8")
    for place, value in filled.items():
        text = text.replace(place, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.encode())
    return path
