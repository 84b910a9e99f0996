"""The template's experiment as files of ours: one for each data set, one factor at a time."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct

from pilothouse.core.errors import ConfigError, Conflict, UserError
from pilothouse.core.storage.files import write_atomic
from pilothouse.experiments.design.file import DATASET, NAME
from pilothouse.experiments.migration.joining import Rows, join_columns, read_rows
from pilothouse.experiments.migration.template import (
    TemplateDataset,
    TemplateEvaluator,
    TemplateFile,
    find_flow,
)
from pilothouse.experiments.types import Design
from pilothouse.flows.loader import load_flow

_AZURE_DATA = re.compile(r"azureml:(?P<name>[^:@/]+)([:@].*)?")
_MEASURED: Final = ("int", "double", "bool")
_STAND_IN: Final = {"name": "latency", "use": "latency"}


class NewFile(Struct, frozen=True, kw_only=True):
    """One experiment file to write.

    Attributes:
        path: Where.
        content: Its keys.
    """

    path: Path
    content: dict[str, Any]


class NewData(Struct, frozen=True, kw_only=True):
    """One data file to write, as JSON lines: the run's rows with the columns that evaluators had in files of their own.

    Attributes:
        path: Where.
        rows: Its rows.
    """

    path: Path
    rows: list[dict[str, Any]]


class Conversion(Struct, frozen=True, kw_only=True):
    """What an experiment of the template becomes.

    Attributes:
        files: One for each of its data sets.
        data: Data files that join what the template kept in two.
        listed: What has no counterpart or must be done by hand; nothing is dropped without a line here.
    """

    files: tuple[NewFile, ...]
    data: tuple[NewData, ...] = ()
    listed: tuple[str, ...]


def convert_template(template: TemplateFile, target: Path, *, design: Design = "one-factor") -> Conversion:
    """Return the files of ours for an experiment of the template; nothing is written.

    Args:
        template: What was read.
        target: The file to write; with several data sets, their names join its stem.
        design: How variants are combined; the template's way is one factor at a time.

    Raises:
        ConfigError: when its flow or an evaluator's does not exist.
    """
    content = template.content
    listed = [f"{text} means nothing here" for text in template.ignored]
    if content.runtime:
        listed.append(f"runtime '{content.runtime}': flows run on this machine, no runtime is named")
    listed += [
        f"connection '{item.get('name')}': pilothouse migrate connections --from {template.path.name}"
        for item in content.connections or ()
    ]
    flow = _flow(template.folder, content.flow or content.name, f"{template.path}: flow")
    files: list[NewFile] = []
    joined: list[NewData] = []
    several = len(content.datasets) > 1
    for dataset in content.datasets:
        name = _name(f"{content.name}-{dataset.name}" if several else content.name)
        path = target.with_name(f"{target.stem}-{_name(dataset.name)}{target.suffix}") if several else target
        evaluators, rows = _evaluators(template, dataset, path, listed)
        if rows is not None:
            joined.append(NewData(path=path.with_name(f"{path.stem}-data.jsonl"), rows=rows))
        files.append(
            NewFile(
                path=path,
                content={
                    "name": name,
                    **({"description": dataset.description} if dataset.description else {}),
                    "flow": _relative(flow, path),
                    "data": _data(template.folder, dataset, path, listed) if rows is None else joined[-1].path.name,
                    **({"column_mapping": dataset.mappings} if dataset.mappings else {}),
                    "variants": "all",
                    "design": design,
                    "evaluators": evaluators,
                },
            )
        )
    return Conversion(files=tuple(files), data=tuple(joined), listed=tuple(dict.fromkeys(listed)))


def write_files(conversion: Conversion, source: str) -> None:
    """Write the files of a conversion.

    Args:
        conversion: What to write.
        source: What they were made of, for their first line.

    Raises:
        Conflict: when one of them exists; then none is written.
    """
    for path in (*(file.path for file in conversion.files), *(file.path for file in conversion.data)):
        if path.exists():
            raise Conflict(f"{path} exists", fix="name another file with --to, or remove this one")
    for file in conversion.files:
        head = f"# Written by `pilothouse migrate experiment` from {source}\n"
        text = yaml.safe_dump(file.content, sort_keys=False, allow_unicode=True, width=110)
        file.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file.path, (head + text).encode())
    for data in conversion.data:
        write_atomic(data.path, b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in data.rows))


def _evaluators(
    template: TemplateFile, dataset: TemplateDataset, path: Path, listed: list[str]
) -> tuple[list[Any], Rows | None]:
    """Return the evaluators of a data set, and its rows where they had to be joined with an evaluator's own."""
    entries: list[Any] = []
    rows: Rows | None = None
    for evaluator in template.content.evaluators or ():
        for item in evaluator.datasets:
            if item.judged != dataset.name:
                continue
            try:
                rows = _joined(template.folder, item, dataset, rows)
            except UserError as error:
                listed.append(
                    f"evaluator '{evaluator.name}' was left out for '{dataset.name}', because '{item.source}' cannot "
                    f"be joined with '{dataset.source}': {error.message}"
                )
                continue
            if rows is not None and item.source not in {None, dataset.source}:
                listed.append(
                    f"evaluator '{evaluator.name}': '{item.source}' and '{dataset.source}' are joined by their rows' "
                    f"places into {path.stem}-data.jsonl"
                )
            entries.append(_evaluator(template, evaluator, item, path, entries))
            listed += _texts_only(evaluator.name, path.parent / entries[-1]["use"])
    if not entries:
        listed.append(
            f"data set '{dataset.name}': no evaluator judges it, and an experiment needs one: 'latency' stands in"
        )
        entries.append(dict(_STAND_IN))
    return entries, rows


def _evaluator(
    template: TemplateFile, evaluator: TemplateEvaluator, item: TemplateDataset, path: Path, before: list[Any]
) -> dict[str, Any]:
    flow = _flow(template.folder, evaluator.flow or evaluator.name, f"{template.path}: evaluator '{evaluator.name}'")
    name, taken = _name(evaluator.name), {entry["name"] for entry in before}
    if name in taken:
        name = _name(f"{name}-{item.name}")
    entry: dict[str, Any] = {"name": name, "use": _relative(flow, path)}
    if item.mappings:
        entry["column_mapping"] = item.mappings
    return entry


def _texts_only(name: str, flow: Path) -> list[str]:
    """Say how an evaluation flow that returns texts alone is compared."""
    try:
        outputs = load_flow(flow).outputs
    except UserError as error:
        return [f"evaluator '{name}' cannot be loaded: {error.message}"]
    if any(item.type in _MEASURED for item in outputs.values()):
        return []
    shown = ", ".join(outputs) or "none"
    how = "an experiment compares the share of each text; `primary: grade=Correct` says which decides"
    return [f"evaluator '{name}' declares no output that is a number or a boolean ({shown}): {how}"]


def _joined(folder: Path, item: TemplateDataset, dataset: TemplateDataset, rows: Rows | None) -> Rows | None:
    """Return the rows with the columns that an evaluator reads from a file of its own; None while none is needed."""
    if item.source is None or item.source == dataset.source:
        return rows
    wanted = [
        value[len("${data.") : -1]
        for value in (item.mappings or {}).values()
        if isinstance(value, str) and value.startswith("${data.") and value.endswith("}")
    ]
    if not wanted:
        return rows
    own = read_rows(_place(folder, str(dataset.source)) or folder / str(dataset.source)) if rows is None else rows
    return join_columns(own, _place(folder, item.source) or folder / item.source, wanted)


def _flow(folder: Path, name: str, where: str) -> Path:
    place = find_flow(folder, name)
    if place is None:
        places = f"a folder with a flow's file: {folder / name} or {folder / 'flows' / name}"
        raise ConfigError(f"there is no flow '{name}'", where=where, expected=places)
    return place


def _place(folder: Path, source: str) -> Path | None:
    return next((place for place in (folder / source, folder / "data" / source) if place.exists()), None)


def _data(folder: Path, dataset: TemplateDataset, path: Path, listed: list[str]) -> str:
    source = str(dataset.source)
    azure = _AZURE_DATA.fullmatch(source)
    if azure is not None:
        listed.append(
            f"data set '{dataset.name}' is in Azure ML ({source}): bring its file here, then "
            f"pilothouse dataset add {azure['name']} FILE"
        )
        return f"{DATASET}{azure['name']}"
    place = _place(folder, source)
    if place is None:
        listed.append(f"data set '{dataset.name}': there is no '{source}' in {folder}, nor in its data folder")
        place = folder / source
    return _relative(place, path)


def _relative(place: Path, path: Path) -> str:
    text = Path(os.path.relpath(place.resolve(), path.resolve().parent)).as_posix()
    # A bare word would be taken for a built-in evaluator.
    return text if "/" in text else f"./{text}"


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:100]
    return name if NAME.match(name) else "experiment"
