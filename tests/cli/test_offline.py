"""With the network off everything but remote models works, and nothing tries to get out: the kernel counts attempts.

Commands run in a network namespace of their own that has a loopback interface and no route to anywhere.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pilothouse.core.environment import Environment
from pilothouse.core.packages import user_cache
from pilothouse.models import local_models

from .conftest import Project

SEAL = ["unshare", "--map-root-user", "--net", "sh", "-e", "-c"]
ATTEMPTS = "cat /proc/self/net/snmp /proc/self/net/snmp6 1>&2"

TEXT_METRICS = """\
name: words
flow: flows/support
data: data/questions.csv
evaluators:
{entries}
"""
METRICS = ("bleu", "cer", "chrf", "exact_match", "likeness", "meteor", "rouge", "ter", "token_f1", "wer")
ENTRY = """\
  - name: {name}
    use: {name}
    column_mapping: {{prediction: "${{run.outputs.team}}", truth: "${{data.team}}"}}
"""

Sealed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sealed(project: Project) -> Sealed:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("unshare and ip are needed to take the network away")
    if subprocess.run([*SEAL, "ip link set lo up"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network namespace")

    def run(*lines: str, **variables: str) -> subprocess.CompletedProcess[str]:
        script = "\n".join(["ip link set lo up", *lines, ATTEMPTS])
        return subprocess.run(
            [*SEAL, script],
            cwd=project.root,
            env=project.environment(PATH=f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin", **variables),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def attempts(result: subprocess.CompletedProcess[str]) -> int:
    """Return how many connections and datagrams found no route out, names to be resolved among them."""
    head, values = (line.split() for line in result.stderr.splitlines() if line.startswith("Ip: "))
    six = next(line.split()[1] for line in result.stderr.splitlines() if line.startswith("Ip6OutNoRoutes"))
    return int(dict(zip(head, values, strict=True))["OutNoRoutes"]) + int(six)


def test_an_attempt_to_get_out_is_counted(sealed: Sealed) -> None:
    reach = "python -c \"import socket; socket.socket().connect_ex(('192.0.2.1', 80))\""
    assert attempts(sealed("true")) == 0
    assert attempts(sealed(reach)) == 1


def test_the_loop_works_and_nothing_tries_to_get_out(project: Project, sealed: Sealed) -> None:
    entries = "".join(ENTRY.format(name=name) for name in METRICS)
    project.write("words.yaml", TEXT_METRICS.format(entries=entries))
    done = sealed(
        "pilothouse doctor",
        "pilothouse flow test flows/support question='where is my parcel'",
        "pilothouse run create --flow flows/support --data data/questions.csv --name first",
        "pilothouse run show first",
        "pilothouse dataset add questions data/questions.csv",
        "pilothouse experiment plan experiment.yaml",
        "pilothouse experiment run experiment.yaml",
        "pilothouse experiment run words.yaml",
        "pilothouse experiment show words",
        "pilothouse experiment report words",
        "pilothouse suite run secrets --flow flows/support --input question --output team || test $? -eq 4",
        "pilothouse trace list",
        "pilothouse migrate check flows",
        "pilothouse registry list",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert attempts(done) == 0, done.stderr
    assert "reports" in done.stdout


@pytest.mark.local_model
def test_the_local_model_answers(project: Project, sealed: Sealed) -> None:
    cache = user_cache(Environment.load(Path("/")))
    local_models.pull(local_models.DEFAULT, cache / "models")
    project.write("connections/scripted.yaml", f"name: scripted\ntype: local\nmodel: {local_models.DEFAULT}\n")
    project.change("flows/support/flow.dag.yaml", "{model: scripted,", "{max_tokens: 5,")
    done = sealed("pilothouse flow test flows/support question=hello", PILOTHOUSE_CACHE=str(cache))
    assert done.returncode == 0, done.stdout + done.stderr
    assert attempts(done) == 0
