"""`pilothouse serve`, for real: calls, probes and the API behind one address, and an end that is a good one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "pilothouse.yaml").write_text("{}\n")
    (tmp_path / "connections").mkdir()
    (tmp_path / "connections" / "east.yaml").write_text("name: east\ntype: open_ai\napi_key: ${env:KEY_HERE}\n")
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8", "KEY_HERE": "sk-test"}
    command = [BIN / "pilothouse", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert "listens on http://" in line, line + child.stdout.read()
        yield line.split("listens on ")[1].split("/v1")[0]
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
        assert child.returncode == 0


def ask(url: str, *, token: str = "", body: object = None) -> tuple[int, dict[str, object]]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def test_one_address_for_calls_and_the_api(address: str) -> None:
    assert ask(f"{address}/healthz")[0] == 200
    assert ask(f"{address}/v1/models")[0] == 200
    status, document = ask(f"{address}/api/v1/openapi.json")
    assert (status, document["openapi"]) == (200, "3.1.0")
    status, made = ask(f"{address}/api/v1/keys", body={"name": "first", "role": "admin"})
    assert status == 201
    assert ask(f"{address}/api/v1/keys")[0] == 401
    assert ask(f"{address}/api/v1/keys", token=str(made["secret"]))[0] == 200
    assert ask(f"{address}/api/v1/nothing", token=str(made["secret"]))[0] == 404
