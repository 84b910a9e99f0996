"""The flow's own files as a build holds them: includes laid in, the variant chosen, settings and secrets left out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from pilothouse.core.canonical import digest
from pilothouse.core.errors import FlowError, UserError
from pilothouse.core.yaml import parse_yaml
from pilothouse.flows.building.archive import zipped
from pilothouse.flows.building.types import FLOW, Content, Part
from pilothouse.flows.dag.includes import IGNORED, merged_files
from pilothouse.flows.environment.references import files_named
from pilothouse.flows.library import BUILD
from pilothouse.flows.loader import load_flow
from pilothouse.flows.types import Flow
from pilothouse.models.connections import clear_secrets

_KEYS: Final = ("*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx", "id_rsa*", "id_ed25519*", "*.sqlite", "*.sqlite-wal")
_SECRET_NAME = re.compile(
    r"((API|ACCESS|ACCOUNT|SUBSCRIPTION|SECRET)_?KEY|SECRET|TOKEN|PASSWORD|CONNECTION_STRING)$", re.IGNORECASE
)
# A folder with such a file below the flow is no part of it.
_FOREIGN: Final = {"/pyvenv.cfg": "a virtual environment", f"/{BUILD}": "a build"}
_REFERENCE = re.compile(r"\$\{[^}]+\}")
_TOP = re.compile(r"[^\s#-]")


def flow_part(flow: Flow, *, without: Path) -> Part:
    """Return the flow's files below `flow/`, and notes on what was left out or changed.

    Args:
        flow: The flow, its variants chosen.
        without: The folder of the build, which may lie inside the flow's.

    Raises:
        FlowError: when a secret stands in the flow's file itself.
    """
    _refuse_secrets(flow)
    if flow.kind == "prompty":
        return _prompty(flow)
    files: dict[str, Content] = {}
    notes = [f"left out: {name}" for name in _hidden(flow.folder)]
    merged = merged_files(flow.folder, flow.additional_includes)
    foreign = {
        PurePosixPath(name).parent: PurePosixPath(name).name for name in merged if name.endswith(tuple(_FOREIGN))
    }
    notes += [f"left out: {place}/ ({_FOREIGN[f'/{mark}']})" for place, mark in sorted(foreign.items())]
    for name, path in merged.items():
        if not foreign.keys().isdisjoint(PurePosixPath(name).parents):
            continue
        reason = _is_secret(path)
        if reason:
            notes.append(f"left out: {name} ({reason})")
        elif not path.resolve().is_relative_to(without):
            files[f"{FLOW}/{name}"] = path
    for include in flow.additional_includes:
        if include.compress:
            inner = {
                f"{include.source.name}/{name}": path.read_bytes()
                for name, path in merged_files(include.source, ()).items()
            }
            files[f"{FLOW}/{include.target}"] = zipped(inner)
    text = _settled(flow)
    if text is not None:
        files[f"{FLOW}/{flow.path.name}"] = text.encode()
        notes.append(f"changed: {flow.path.name} ({', '.join(_changes(flow))})")
    return Part(files=files, notes=tuple(notes))


def _prompty(flow: Flow) -> Part:
    prompty = flow.prompty
    named = [*files_named(flow.sample)]
    if prompty is not None:
        named += [*files_named(prompty.configuration), *files_named(prompty.parameters)]
    document = flow.path.read_text(encoding="utf-8-sig")
    named += re.findall(r"\$\{file:\s*([^}]+?)\s*\}", document)
    named += re.findall(r"^sample:\s*['\"]?([\w./-]+\.json)['\"]?\s*$", document, re.MULTILINE)
    files: dict[str, Content] = {f"{FLOW}/{flow.path.name}": flow.path}
    for name in dict.fromkeys(named):
        path = (flow.folder / name).resolve()
        if not path.is_relative_to(flow.folder):
            raise FlowError(
                f"'{name}' lies outside of the prompty's folder and cannot be built in",
                where=str(flow.path),
                fix="put the file beside the prompty",
            )
        files[f"{FLOW}/{path.relative_to(flow.folder).as_posix()}"] = path
    return Part(files=files)


def _hidden(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED:
            yield f"{path.name}/" if path.is_dir() else path.name


def _is_secret(path: Path) -> str:
    """Return why a file may not be given away; empty when it may."""
    if any(fnmatch(path.name.lower(), pattern) for pattern in _KEYS):
        return "a key or a database"
    if path.suffix in {".yaml", ".yml"} and clear_secrets(path):
        return f"a connection whose {clear_secrets(path)[0]} stands in the clear"
    return ""


def _refuse_secrets(flow: Flow) -> None:
    for name, value in flow.environment_variables.items():
        if _SECRET_NAME.search(name) and value and not _REFERENCE.search(value):
            raise FlowError(
                f"environment_variables sets {name} in the clear, and a build would give it away",
                where=_line(flow.path, name),
                fix=f"write ${{<connection>.api_key}}, or remove it and set {name} where the flow runs",
            )
    key = flow.prompty.configuration.get("api_key") if flow.prompty is not None else None
    if isinstance(key, str) and key and not _REFERENCE.search(key):
        raise FlowError(
            "the api_key stands in the clear, and a build would give it away",
            where=_line(flow.path, "api_key"),
            fix="write api_key: ${env:NAME}, and replace the key at the provider",
        )


def _line(path: Path, word: str) -> str:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return next((f"{path}:{number}" for number, line in enumerate(lines, 1) if word in line), str(path))


# The flow's file


def _changes(flow: Flow) -> list[str]:
    chosen = [f"{node}: {variant}" for node, variant in flow.variants.items() if _default(flow, node) != variant]
    laid = ["additional_includes are laid in"] if flow.additional_includes else []
    # The folder of a build is called `flow`, whatever the flow's own is called.
    named = (
        []
        if parse_yaml(flow.path.read_text(encoding="utf-8-sig"), flow.path).data.get("name")
        else ["it says its name"]
    )
    return [*laid, *named, *chosen]


def _default(flow: Flow, node: str) -> str:
    return flow.node_variants[node].default


def _settled(flow: Flow) -> str | None:
    """Return the text of the flow's file with its name, without includes, its variants as defaults; None as it is.

    Comments are kept where the file is written in blocks, which nearly all are.
    """
    if not _changes(flow):
        return None
    text = flow.path.read_text(encoding="utf-8-sig")
    document = parse_yaml(text, flow.path)
    wanted: dict[str, Any] = dict(document.data)
    wanted.pop("additional_includes", None)
    lines = text.splitlines(keepends=True)
    for node, variant in flow.variants.items():
        if _default(flow, node) != variant:
            entry = dict(wanted["node_variants"][node], default_variant_id=variant)
            wanted["node_variants"] = {**wanted["node_variants"], node: entry}
            number = (document.line("node_variants", node, "default_variant_id") or 1) - 1
            lines[number] = re.sub(
                r"(default_variant_id\s*:\s*)[^\s#,}]+",
                lambda match, to=variant: match[1] + json.dumps(to),
                lines[number],
            )
    if flow.additional_includes:
        first = (document.line("additional_includes") or 1) - 1
        # An item of a list may stand as far left as its key.
        after = next((n for n in range(first + 1, len(lines)) if _TOP.match(lines[n])), len(lines))
        lines[first:after] = [""] * (after - first)
    if "name" not in wanted:
        wanted["name"] = flow.name
        first = (document.line(next(iter(document.data))) or 1) - 1
        lines[first] = f"name: {json.dumps(flow.name, ensure_ascii=False)}\n{lines[first]}"
    return same_data("".join(lines), wanted, flow.path)


def same_data(text: str, wanted: Any, path: Path) -> str:
    """Return ``text`` where it reads as ``wanted``, else ``wanted`` written anew."""
    candidates = (text, yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=120))
    for candidate in candidates:
        try:
            if digest(parse_yaml(candidate, path).data) == digest(wanted):
                return candidate
        except UserError:
            # Cut in the wrong place: the next one is tried.
            continue
    # JSON is YAML, and leaves nothing to be taken for another type.
    return json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"


def check_copy(folder: Path, flow: Flow) -> None:
    """Refuse a copy that is not the flow: other nodes, or other variants in use.

    Raises:
        FlowError: when it differs.
    """
    copy = load_flow(folder / flow.path.name if flow.kind == "prompty" else folder)
    if [node.name for node in copy.nodes] != [node.name for node in flow.nodes] or copy.variants != flow.variants:
        raise FlowError("the built flow is not the one that was given", where=str(copy.path))
