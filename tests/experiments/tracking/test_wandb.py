"""Offline runs of Weights & Biases, read back with its own records."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pilothouse.experiments.commands.commands import experiment

from ..conftest import Project

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

READER = """
import json, sys
from wandb.proto import wandb_internal_pb2

BLOCK = 32768


def records(data):
    # The format of LevelDB's log after a head of 7 bytes: blocks of chunks, each with checksum, length and kind.
    place, parts = 7, []
    assert data[:4] == b":W&B"
    while place + 7 <= len(data):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


found = {"config": {}, "summary": {}, "history": {}, "run": {}, "files": []}
for data in records(open(sys.argv[1], "rb").read()):
    record = wandb_internal_pb2.Record()
    record.ParseFromString(data)
    kind = record.WhichOneof("record_type")
    if kind == "run":
        found["run"] = {"project": record.run.project, "id": record.run.run_id, "group": record.run.run_group}
        for item in record.run.config.update:
            found["config"][item.key] = json.loads(item.value_json)
    elif kind == "summary":
        for item in record.summary.update:
            found["summary"]["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    elif kind == "history":
        for item in record.history.item:
            found["history"]["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    elif kind == "files":
        found["files"] += [item.path for item in record.files.files]
print(json.dumps(found))
"""

WATCHED = """
import sys
from pathlib import Path

seen = set()


def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        seen.add(arguments[1][0])
    elif event == "socket.getaddrinfo":
        seen.add(str(arguments[0]))


sys.addaudithook(watch)
from pilothouse.workspace import Workspace
from pilothouse.experiments.tracking.service import TrackingService

with Workspace(Path(sys.argv[1])) as workspace:
    done = workspace.get(TrackingService).log("sms", "wandb:out", "Grüße 消息")
print(sorted(seen - {"127.0.0.1", "localhost"}))
print(done.runs, done.updated, done.rows)
"""


def read(file: Path) -> Any:
    done = subprocess.run([sys.executable, "-c", READER, str(file)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_offline_file_holds_settings_figures_and_rows(project: Project) -> None:
    finding = project.run()
    project.write("pilothouse.yaml", "{}\n")
    project.services.close()
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(project.root)}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(project.root)],
        env=bare, cwd=project.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "3 0 120"]
    files = sorted((project.root / "out/wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 3
    found = {item["config"]["variant"]: item for item in map(read, files)}
    assert set(found) == {"zero", "few", "strict"}
    for arm in finding.comparison.arms:
        there = found[arm.name]
        assert there["run"]["group"] == "sms:1"
        assert there["config"]["pilothouse.ref"] == "sms:1"
        figure = arm.estimates["accuracy"]
        assert figure.interval is not None
        assert there["summary"]["accuracy"] == figure.value
        assert there["history"]["accuracy.low"] == figure.interval.low
        assert there["history"]["table/nrows"] == 40
        folder = next(file.parent for file in files if there["run"]["id"] in file.name)
        table = json.loads((folder / "files" / there["history"]["table/path"]).read_text())
        assert len(table["data"]) == 40
        assert "outputs.label" in table["columns"]
    (difference,) = (
        item for item in finding.comparison.comparisons if (item.candidate, item.metric) == ("few", "accuracy")
    )
    assert found["few"]["summary"]["vs.accuracy.difference"] == difference.difference.value


def test_the_verb_says_how_to_send_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run()
    monkeypatch.setitem(sys.modules, "wandb", None)
    result = CliRunner().invoke(experiment, ["log", "--to", "wandb:out"], obj=project.services)
    assert 'pip install "pilothouse[wandb]"' in str(result.exception)
