"""Prompts and flows in MLflow's registries: what is there already is found again, not registered twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from pilothouse.core.canonical import digest
from pilothouse.core.clock import Clock
from pilothouse.core.services import Services
from pilothouse.core.version import VERSION
from pilothouse.experiments.tracking.mlflow.connecting import Server
from pilothouse.experiments.tracking.mlflow.limits import prompt_name
from pilothouse.experiments.tracking.mlflow.model import BUILD, FACTS, LOADER
from pilothouse.experiments.tracking.types import Prompt
from pilothouse.flows.building.build import Wishes, make_build
from pilothouse.flows.building.types import Content
from pilothouse.flows.types import Flow

TEXT_DIGEST: Final = "pilothouse.text_digest"
LINKED: Final = "mlflow.linkedPrompts"
MODEL_DIGEST: Final = "pilothouse.model_digest"


def register_prompts(server: Server, run_id: str, prompts: Iterable[Prompt]) -> Iterator[str]:
    """Make every prompt a version in the registry, link it to the run, and yield ``name/version``.

    The same text under the same name stays the same version.
    """
    linked: list[dict[str, str]] = []
    for prompt in prompts:
        name = prompt_name(prompt.name)
        version = _version(server, name, prompt)
        if version is None:
            version = server.client.register_prompt(
                name, prompt.text, commit_message=f"the node {prompt.node}", tags={TEXT_DIGEST: prompt.digest}
            )
        linked.append({"name": name, "version": str(version.version)})
        yield f"{name}/{version.version}"
    if linked:
        # The client's own verb for it asks whichever server the process last used.
        server.client.set_tag(run_id, LINKED, json.dumps(linked))


def versions_of(server: Server, name: str) -> list[Any]:
    """Return all versions of a prompt, the first one first."""
    found = server.client.search_prompt_versions(name)
    return sorted(found, key=lambda item: int(item.version))


def _version(server: Server, name: str, prompt: Prompt) -> Any:
    if server.client.get_prompt(name) is None:
        return None
    return next((item for item in versions_of(server, name) if item.template == prompt.text), None)


def log_model(services: Services, server: Server, home: tuple[str, str], flow: Flow, folder: Path) -> None:
    """Log a flow as a model that `mlflow.pyfunc` loads; one with the same content is there already.

    Args:
        services: The project.
        server: The server.
        home: Ids of the MLflow experiment and of the run.
        flow: The flow, its variants chosen.
        folder: Where files may be made.

    Raises:
        UserError: the flow cannot be packed: a secret stands in it, a package is missing.
    """
    experiment, run_id = home
    place = folder / "models" / run_id
    content = digest([flow.digest, flow.variants, VERSION])
    found = server.client.search_logged_models(
        experiment_ids=[experiment], filter_string=f"source_run_id = '{run_id}'", max_results=50
    )
    if any(model.tags.get(MODEL_DIGEST) == content and str(model.status) == "READY" for model in found):
        return
    _write_flow(services, flow, place)
    made = server.client.create_logged_model(
        experiment, name=prompt_name(flow.name), source_run_id=run_id, tags={MODEL_DIGEST: content}, model_type="flow"
    )
    _write_description(place, flow, (made.model_id, run_id), services.clock)
    server.client.log_model_artifacts(made.model_id, str(place))
    server.client.finalize_logged_model(made.model_id, "READY")
    shutil.rmtree(place)


def _write_flow(services: Services, flow: Flow, place: Path) -> None:
    """Write what the flow needs elsewhere, without its secrets, as `flow build` does."""
    made = make_build(flow, services, Wishes(), output=place)
    for name, content in made.files.items():
        file = place / BUILD / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_read(content))
    path = f"flow/{flow.path.name}" if flow.kind == "prompty" else "flow"
    facts = {"path": path, "variants": flow.variants, "digest": flow.digest, "pilothouse": VERSION}
    (place / BUILD / FACTS).write_bytes(msgspec.json.encode(facts))
    shutil.copyfile(place / BUILD / "requirements.txt", place / "requirements.txt")


def _write_description(place: Path, flow: Flow, ids: tuple[str, str], clock: Clock) -> None:
    model_id, run_id = ids
    described = {
        "flavors": {
            "python_function": {"loader_module": LOADER, "data": BUILD, "env": {"virtualenv": "requirements.txt"}}
        },
        "model_id": model_id,
        "run_id": run_id,
        "utc_time_created": f"{clock.now():%Y-%m-%d %H:%M:%S.%f}",
        "metadata": {"flow": flow.name, "digest": flow.digest, "variants": dict(flow.variants)},
    }
    (place / "MLmodel").write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _read(content: Content) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()
