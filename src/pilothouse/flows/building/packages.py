"""The lock: every package that the flow and Pilothouse need, at the version that is installed here."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pilothouse.core.errors import ConfigError, FlowError
from pilothouse.flows.building.archive import packed
from pilothouse.flows.building.types import Content, Part
from pilothouse.flows.environment.requirements import (
    RequirementLine,
    normal_name,
    read_requirements,
    requirements_file,
)
from pilothouse.flows.nodes.packages import offered
from pilothouse.flows.types import Flow

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FILE: Final = "requirements.txt"
WHEELS: Final = "dist"
OWN: Final = "pilothouse"

_LINUX: Final = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"}


def packages_part(flow: Flow, *, extras: tuple[str, ...], for_linux: bool) -> Part:
    """Return `requirements.txt`, with a wheel of Pilothouse where this one was not installed from an index.

    Args:
        flow: The flow; its own requirements are part of the lock.
        extras: The extras of Pilothouse that it needs.
        for_linux: Whether it will run on Linux, whatever runs here.

    Raises:
        ConfigError: when something that is needed is not installed here, or `packaging` is not.
        FlowError: when the flow's own requirements are not met here.
    """
    lock = _Lock(dict(_LINUX) if for_linux else {})
    lock.add(f"{OWN}[{','.join(extras)}]", "pilothouse")
    for release in _tool_releases(flow):
        lock.add(release, "a node of the flow")
    path = requirements_file(flow)
    own, verbatim = _own_requirements(read_requirements(path) if path is not None else (), lock)
    files: dict[str, Content] = {}
    lines = [*verbatim]
    for found in lock.found.values():
        if normal_name(found.name) == OWN and _origin(found):
            name, wheel = packed(found)
            files[f"{WHEELS}/{name}"] = wheel
            lines.append(f"./{WHEELS}/{name}")
        else:
            lines.append(_pinned(found))
    head = [
        f"# Every package, at the version that was installed where this was built (Python {_python()}).",
        "# The list is complete: install it with --no-deps.",
    ]
    files[FILE] = "\n".join([*head, *sorted(lines), ""]).encode()
    return Part(files=files, notes=(*own, *lock.notes))


def given_lock(path: Path) -> Part:
    """Return a lock file as it is, for a lock of one's own, such as one with hashes.

    Raises:
        ConfigError: when it cannot be read, or does not name Pilothouse.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the lock cannot be read: {error.strerror}", where=str(path)) from error
    if not any(line.name == OWN or OWN in line.text for line in read_requirements(path)):
        raise ConfigError(
            "this lock does not name pilothouse", where=str(path), expected="pilothouse==VERSION among its lines"
        )
    return Part(files={FILE: text})


class _Lock:
    """Walks from requirements to what they require, in the installed metadata."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.found: dict[str, Distribution] = {}
        self.notes: list[str] = []
        self._environment = dict(environment)
        self._extras: dict[str, set[str]] = {}

    def add(self, text: str, wanted_by: str) -> None:
        """Take a requirement and all that it requires.

        Raises:
            ConfigError: when one is not installed.
        """
        requirement = _parsed(text)
        name = normal_name(requirement.name)
        asked = {"", *requirement.extras}
        new = asked - self._extras.setdefault(name, set())
        if not new:
            return
        self._extras[name] |= new
        found = _installed(name)
        if found is None:
            if sys.platform != "linux" and self._environment:
                self.notes.append(f"not locked: {name} (wanted by {wanted_by}; it is not installed on this system)")
                return
            raise ConfigError(
                f"{wanted_by} needs {name}, which is not installed here, so there is no version to lock",
                fix='pip install "pilothouse[build,serve]"' if wanted_by == OWN else f"pip install {name}",
            )
        self.found[name] = found
        for inner in found.requires or ():
            if self._is_wanted(_parsed(inner), new):
                self.add(inner, name)

    def _is_wanted(self, requirement: Requirement, extras: Iterable[str]) -> bool:
        marker = requirement.marker
        return marker is None or any(marker.evaluate({**self._environment, "extra": extra}) for extra in extras)


def _tool_releases(flow: Flow) -> list[str]:
    """Return the packages that bring the tools which nodes name by id, but for those that are built in."""
    named = {node.source.tool for node in flow.nodes if node.source.type != "code"}
    if not named:
        return []
    releases = {str(said.get("release", "")).partition(" ")[0] for name, said in offered().items() if name in named}
    return sorted(release for release in releases if release)


def _own_requirements(lines: Iterable[RequirementLine], lock: _Lock) -> tuple[list[str], list[str]]:
    """Add the flow's own requirements to the lock; return notes, and lines that are kept as they stand."""
    notes: list[str] = []
    verbatim: list[str] = []
    for line in lines:
        if line.is_answered_here:
            notes.append(f"left out of the lock: {line.text} (Pilothouse answers in its place)")
        elif not line.name or "@" in line.text.partition(";")[0]:
            verbatim.append(line.text)
            notes.append(f"not locked: {line.text} ({line.where})")
        else:
            requirement = _parsed(line.text, line.where)
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            _check_installed(requirement, line)
            lock.add(line.text, line.where)
    return notes, verbatim


def _check_installed(requirement: Requirement, line: RequirementLine) -> None:
    found = _installed(line.name)
    if found is None or not requirement.specifier.contains(found.version, prereleases=True):
        said = "is not installed here" if found is None else f"is installed here as {found.version}"
        raise FlowError(
            f"the flow asks for '{line.text}', which {said}: the lock holds what the flow was tried with",
            where=line.where,
            fix=f'pip install "{line.text}"',
        )


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _parsed(text: str, where: str | None = None) -> Requirement:
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ModuleNotFoundError as error:
        raise ConfigError("building needs the package 'packaging'", fix='pip install "pilothouse[build]"') from error
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise FlowError(f"'{text}' is no requirement: {error}", where=where, expected="name==version") from error


def _pinned(found: Distribution) -> str:
    origin = _origin(found)
    commit: str = origin.get("vcs_info", {}).get("commit_id", "")
    if commit:
        return f"{found.name} @ {origin['vcs_info']['vcs']}+{origin['url']}@{commit}"
    return f"{normal_name(found.name)}=={found.version}"


def _origin(found: Distribution) -> dict[str, Any]:
    """Return where a package was installed from (PEP 610); empty for an index."""
    text = found.read_text("direct_url.json")
    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
