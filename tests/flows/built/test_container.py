"""`flow build --format docker`: the Dockerfile read instruction by instruction, and the lock that it installs."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from pilothouse.core.errors import ConfigError, FlowError
from pilothouse.core.version import VERSION

from ..building import write
from .conftest import Invoke

EXEC = {"RUN", "CMD"}
INSTRUCTIONS = {
    "ARG",
    "FROM",
    "LABEL",
    "ENV",
    "RUN",
    "WORKDIR",
    "COPY",
    "USER",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "CMD",
}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile: word and rest, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in joined.splitlines()]


@pytest.fixture
def built(invoke: Invoke, tmp_path: Path) -> Path:
    invoke("build", "support", "--output", str(tmp_path / "o"), "--format", "docker")
    return tmp_path / "o"


def test_every_instruction_is_known_and_none_is_in_shell_form(built: Path) -> None:
    found = instructions(built / "Dockerfile")
    assert {word for word, _ in found} == INSTRUCTIONS
    assert [word for word, _ in found][:2] == ["ARG", "FROM"]
    for word, rest in found:
        if word in EXEC:
            command = json.loads(rest)
            assert command
            assert all(isinstance(item, str) for item in command)
    health = next(rest for word, rest in found if word == "HEALTHCHECK").partition("CMD ")[2]
    compile(json.loads(health)[2], "health", "exec")
    assert "/health" in health


def test_the_image_is_pinned_slim_and_does_not_run_as_root(built: Path) -> None:
    found = instructions(built / "Dockerfile")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert ("ARG", f"BASE=python:{python}-slim-trixie") in found
    assert ("FROM", "${BASE}") in found
    users = [index for index, (word, _) in enumerate(found) if word == "USER"]
    assert [found[index][1] for index in users] == ["10001:10001"]
    assert not [word for word, _ in found[users[0] :] if word in {"RUN", "COPY"}]
    assert ("STOPSIGNAL", "SIGTERM") in found
    assert ("EXPOSE", "8080") in found
    command = json.loads(found[-1][1])
    assert command[:5] == ["python", "-m", "pilothouse", "flow", "serve"]
    assert command[5:] == ["flow", "--host", "0.0.0.0", "--port", "8080"]


def test_the_packages_come_before_the_flow_so_that_the_layer_is_kept(built: Path) -> None:
    found = instructions(built / "Dockerfile")
    install = next(index for index, (word, rest) in enumerate(found) if word == "RUN" and "requirements.txt" in rest)
    whole = found.index(("COPY", ". ."))
    assert install < whole
    for word, rest in found[:whole]:
        if word == "COPY":
            source = rest.split()[0]
            assert (built / source).exists(), source
    assert "--no-deps" in json.loads(found[install][1])


def test_what_holds_secrets_does_not_reach_the_image(built: Path) -> None:
    ignored = (built / ".dockerignore").read_text().splitlines()
    assert {".env", ".env.*", ".git", ".pilothouse"} <= set(ignored)


def test_the_compose_file_can_be_read(built: Path) -> None:
    service = yaml.safe_load((built / "compose.yaml").read_text())["services"]["support"]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["env_file"] == ".env"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_hostile_names_stay_words(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    name = 'a "b" $HOME\\ \u2764'
    text = yaml.safe_dump(
        {"name": name, "description": 'x" RUN rm\n$(y)', "entry": "a:f", "environment": {"setup_sh": 'my "setup".sh'}}
    )
    write(project / "flows" / "odd", {"flow.flex.yaml": text, "a.py": "def f(): return 1\n", 'my "setup".sh': "true\n"})
    invoke("build", "flows/odd", "--output", str(tmp_path / "o"), "--format", "docker", "--base", "example/base:1")
    found = instructions(tmp_path / "o" / "Dockerfile")
    label = next(rest for word, rest in found if word == "LABEL")
    assert 'title="a \\"b\\" \\$HOME\\\\ \u2764"' in label
    assert ("ARG", "BASE=example/base:1") in found
    assert ("RUN", json.dumps(["sh", "-eu", 'my "setup".sh'])) in found
    assert {word for word, _ in found} <= INSTRUCTIONS
    assert yaml.safe_load((tmp_path / "o" / "compose.yaml").read_text())["services"].keys() == {"a-b-home"}


# The lock


def lock_lines(folder: Path) -> list[str]:
    return [
        line for line in (folder / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")
    ]


def test_the_lock_names_every_package_at_the_version_that_is_installed(built: Path) -> None:
    lines = lock_lines(built)
    assert lines == sorted(lines)
    assert lines[0] == f"./dist/pilothouse-{VERSION}-py3-none-any.whl"
    pins = {}
    for line in lines[1:]:
        requirement = Requirement(line)
        pins[requirement.name] = str(requirement.specifier)
    assert {name: f"=={version(name)}" for name in pins} == pins
    assert {"click", "starlette", "uvicorn", "sqlalchemy"} <= set(pins)
    assert not {"pytest", "ruff", "promptflow", "xllamacpp"} & set(pins)


def test_a_local_model_brings_its_extra(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    write(project / "connections", {"model.yaml": "type: local\nmodel: smollm2-135m-instruct\n"})
    result = invoke("build", "support", "--output", str(tmp_path / "o"), "--json")
    assert f"xllamacpp=={version('xllamacpp')}" in lock_lines(tmp_path / "o")
    assert any("pilothouse model pull" in note for note in json.loads(result.stdout)["notes"])


def test_what_prompt_flow_brings_is_left_out_and_said(invoke: Invoke, tmp_path: Path) -> None:
    notes = json.loads(invoke("build", "support", "--output", str(tmp_path / "o"), "--json").stdout)["notes"]
    assert any("left out of the lock: promptflow (" in note for note in notes)
    assert any("left out of the lock: promptflow-tools==1.6.1" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("# x\nno-such-package-anywhere\n", "is not installed here", 2),
        ("click<1\n", "is installed here as", 1),
        ("click ==\n", "is no requirement", 1),
    ],
)
def test_a_requirement_that_is_not_met_here_is_told(
    text: str, message: str, line: int, invoke: Invoke, project: Path, tmp_path: Path
) -> None:
    write(project / "flows" / "support", {"needs.txt": text})
    with pytest.raises(FlowError, match=message) as caught:
        invoke("build", "support", "--output", str(tmp_path / "o"))
    assert str(caught.value.where).endswith(f"needs.txt:{line}")
    assert not (tmp_path / "o").exists()


def test_an_import_that_no_requirement_brings_is_noted(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    path = project / "flows/support/words.py"
    words = project / "flows/shared/words.py"
    words.write_text("import json\nimport yaml\nimport scipy.stats\nimport nowhere_at_all\n" + words.read_text())
    assert not path.exists()
    notes = json.loads(invoke("build", "support", "--output", str(tmp_path / "o"), "--json").stdout)["notes"]
    found = [note for note in notes if note.startswith("not in the lock")]
    assert found == [
        "not in the lock: flow/words.py:3 imports scipy; add scipy to the flow's requirements.txt",
        "not in the lock: flow/words.py:4 imports nowhere_at_all; add nowhere-at-all to the flow's requirements.txt",
    ]


def test_a_lock_of_ones_own_is_taken_as_it_is(invoke: Invoke, tmp_path: Path) -> None:
    own = tmp_path / "lock.txt"
    own.write_text("pilothouse==0.1.0 \\\n    --hash=sha256:00\n")
    invoke("build", "support", "--output", str(tmp_path / "o"), "--lock", str(own), "--format", "docker")
    assert (tmp_path / "o" / "requirements.txt").read_bytes() == own.read_bytes()
    assert "COPY dist/" not in (tmp_path / "o" / "Dockerfile").read_text()
    own.write_text("click==8\n")
    with pytest.raises(ConfigError, match="does not name pilothouse"):
        invoke("build", "support", "--output", str(tmp_path / "p"), "--lock", str(own))


def test_the_wheel_is_whole_and_runs(built: Path, tmp_path: Path) -> None:
    wheel = next((built / "dist").iterdir())
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        record = f"pilothouse-{VERSION}.dist-info/RECORD"
        rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
        for name, known, size in rows:
            if name != record:
                data = archive.read(name)
                said = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert (known, size) == (f"sha256={said}", str(len(data)))
        assert sorted(row[0] for row in rows) == sorted(names)
        archive.extractall(tmp_path / "site")
    assert not [name for name in names if "__pycache__" in name or "direct_url" in name]
    code = (
        "import pilothouse; print(pilothouse.__file__); from pilothouse.cli.main import main; main(['flow', '--help'])"
    )
    environment = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(str(tmp_path / "site")), done.stderr
    assert "build" in done.stdout


def test_the_lock_is_complete(built: Path) -> None:
    pins = {Requirement(line).name for line in lock_lines(built)[1:]}
    for name in pins:
        for text in requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted = re.sub(r"[-_.]+", "-", requirement.name).lower()
                assert wanted in pins, f"{name} needs {wanted}"
