"""The experiment file of Microsoft's GenAIOps template, with its overlay of one environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, cast

from msgspec import Struct

from pilothouse.core.errors import ConfigError, NotFound, nearest_hint
from pilothouse.core.structs import convert
from pilothouse.core.yaml import Document, load_yaml
from pilothouse.flows.loader import DAG_FILES, FLEX_FILES

_BLOCKS: Final = ("datasets", "evaluators", "connections", "runtime")
"""What an overlay replaces, each as a whole."""

_NEVER: Final = ("name", "flow")
"""What an overlay cannot change."""

_OVERLAY = re.compile(r"experiment\.(?P<env>[A-Za-z0-9_-]+)\.ya?ml")


class TemplateDataset(Struct, frozen=True, kw_only=True):
    """One data set of the experiment or of an evaluator; ``reference`` names the experiment's one it goes with."""

    name: str
    source: str | None = None
    reference: str | None = None
    description: str | None = None
    mappings: dict[str, Any] | None = None

    @property
    def judged(self) -> str:
        """The experiment's data set whose run an evaluator judges with this one."""
        return self.reference or self.name


class TemplateEvaluator(Struct, frozen=True, kw_only=True):
    """One evaluation flow and the data sets that it judges."""

    name: str
    flow: str | None = None
    datasets: list[TemplateDataset]


class TemplateExperiment(Struct, frozen=True, kw_only=True):
    """The keys of the file, overlay applied."""

    name: str
    flow: str | None = None
    runtime: str | None = None
    connections: list[dict[str, Any]] | None = None
    datasets: list[TemplateDataset]
    evaluators: list[TemplateEvaluator] | None = None


class TemplateFile(Struct, frozen=True, kw_only=True):
    """An experiment file of the template.

    Attributes:
        path: The base file.
        folder: Where its paths start from.
        overlay: The overlay that was laid over it.
        content: What it says.
        ignored: What the file says and neither the template nor this reader knows, with file and line.
    """

    path: Path
    folder: Path
    overlay: Path | None = None
    content: TemplateExperiment
    ignored: tuple[str, ...] = ()


def is_template(data: object) -> bool:
    """Tell whether parsed YAML is an experiment, or an overlay of one, of the GenAIOps template."""
    if not isinstance(data, dict):
        return False
    keys = set(cast("dict[str, Any]", data))
    return bool(keys & {"datasets", "runtime", "connections"}) or keys == {"evaluators"}


def overlay_of(path: Path) -> tuple[Path, str] | None:
    """Return the base file and the environment when ``path`` is an overlay."""
    match = _OVERLAY.fullmatch(path.name)
    bases = [path.with_name(f"experiment{suffix}") for suffix in (".yaml", ".yml")]
    base = next((item for item in bases if item.is_file()), None)
    return (base, match["env"]) if match and base else None


def read_template_file(path: Path, environment: str | None = None) -> TemplateFile:
    """Read an experiment file of the template.

    Args:
        path: The base file.
        environment: Whose overlay, ``experiment.<environment>.yaml``, replaces blocks of it.

    Raises:
        NotFound: when the file or the overlay is not there.
        ConfigError: for something that the template would refuse too, with file and line.
    """
    overlaid = overlay_of(path)
    if overlaid is not None:
        base, name = overlaid
        raise ConfigError(
            f"{path.name} is an overlay of {base.name}", where=str(path), fix=f"name {base} and add --env {name}"
        )
    document = load_yaml(path)
    data = _mapping(document)
    where: dict[str, Document] = dict.fromkeys(data, document)
    overlay = _overlay_path(path, environment) if environment else None
    ignored = [f"{document.where(key)}: '{key}'" for key in data if key not in TemplateExperiment.__struct_fields__]
    if overlay is not None:
        above = load_yaml(overlay)
        for key, value in _mapping(above).items():
            if key in _BLOCKS:
                data[key], where[key] = value, above
            else:
                reason = " (never taken from an overlay)" if key in _NEVER else ""
                ignored.append(f"{above.where(key)}: '{key}'{reason}")

    def place(*keys: str | int) -> str:
        return where.get(str(keys[0]), document).where(*keys) if keys else document.where()

    content = convert(data, TemplateExperiment, where=place)
    _check(content, place)
    folder, flow = path.resolve().parent, content.flow or content.name
    # Several experiments of one project stand in folders of their own; their paths start from the project's.
    if find_flow(folder, flow) is None and find_flow(folder.parent, flow) is not None:
        folder = folder.parent
    return TemplateFile(path=path, folder=folder, overlay=overlay, content=content, ignored=tuple(ignored))


def find_flow(folder: Path, name: str) -> Path | None:
    """Return the flow's folder that the template would take: below ``folder``, else below its `flows`."""
    for place in (folder / name, folder / "flows" / name):
        if any((place / file).is_file() for file in (*DAG_FILES, *FLEX_FILES)):
            return place
    return None


def _mapping(document: Document) -> dict[str, Any]:
    if document.data is None:
        return {}
    if not isinstance(document.data, dict):
        raise ConfigError("an experiment file is a mapping", where=document.where(), expected="name, flow, datasets")
    return dict(cast("dict[str, Any]", document.data))


def _overlay_path(path: Path, environment: str) -> Path:
    for suffix in (".yaml", ".yml"):
        overlay = path.with_name(f"{path.stem}.{environment}{suffix}")
        if overlay.is_file():
            return overlay
    known = [item.name.split(".")[1] for item in path.parent.glob(f"{path.stem}.*.y*ml")]
    raise NotFound(
        f"there is no overlay for '{environment}'", where=str(path.parent), expected=nearest_hint(environment, known)
    )


def _check(content: TemplateExperiment, place: Any) -> None:
    if not content.datasets:
        raise ConfigError("the experiment has no data set", where=place("datasets"), expected="at least one")
    names = [item.name for item in content.datasets]
    for index, item in enumerate(content.datasets):
        if names.index(item.name) != index:
            raise ConfigError(f"two data sets are called '{item.name}'", where=place("datasets", index))
        if item.reference is not None or item.source is None:
            wrong = "has no source" if item.source is None else "has a reference"
            raise ConfigError(
                f"the data set '{item.name}' {wrong}", where=place("datasets", index), expected="name, source, mappings"
            )
    for index, evaluator in enumerate(content.evaluators or ()):
        for position, item in enumerate(evaluator.datasets):
            if item.judged not in names:
                raise ConfigError(
                    f"the evaluator '{evaluator.name}' judges the data set '{item.judged}', which does not exist",
                    where=place("evaluators", index, "datasets", position),
                    expected=nearest_hint(item.judged, names),
                )
