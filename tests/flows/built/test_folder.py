"""`flow build --format folder`: complete, without secrets, the same bytes each time, and it runs."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from pilothouse.core.errors import Conflict, ConnectionFault, FlowError, StorageError, UserError
from pilothouse.flows.commands.commands import flow
from pilothouse.flows.loader import load_flow

from ..building import write
from .conftest import SECRET, Invoke


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run_built(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "HOME": str(folder / "home"), "LANG": "C.UTF-8", **variables}
    command = [sys.executable, "-m", "pilothouse", "flow", "test", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_built_flow_runs_alone(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    output = tmp_path / "elsewhere"
    assert invoke("build", "support", "--output", str(output)).exit_code == 0
    (project / "flows").rename(tmp_path / "gone")
    done = run_built(output, "flow", "--json", SHOP_TOKEN="x", DESK="7")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lines"][0]["outputs"] == {"team": "polite 1 2 north 7"}


def test_the_variant_that_was_chosen_is_built_and_comments_stay(invoke: Invoke, tmp_path: Path) -> None:
    output = tmp_path / "short"
    invoke("build", "support", "--output", str(output), "--variant", "${ask.short}")
    assert load_flow(output / "flow").variants == {"ask": "short"}
    done = run_built(output, "flow", "--json", SHOP_TOKEN="x")
    assert json.loads(done.stdout)["lines"][0]["outputs"] == {"team": "short 1 2 north none"}
    text = (output / "flow" / "flow.dag.yaml").read_text()
    assert "# The team that answers." in text
    assert "# the one in production" in text
    assert "additional_includes" not in text
    assert load_flow(output / "flow").name == "support"


def test_nothing_secret_is_in_a_build_and_what_is_left_out_is_told(invoke: Invoke, tmp_path: Path) -> None:
    output = tmp_path / "built"
    result = invoke("build", "support", "--output", str(output), "--json")
    assert [path for path in output.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == []
    notes = json.loads(result.stdout)["notes"]
    for name in (".env", ".promptflow/", "__pycache__/", "server.pem", "azure.yaml"):
        assert any(note.startswith(f"left out: {name}") for note in notes), (name, notes)
    assert any("additional_includes are laid in" in note for note in notes)
    names = set(contents(output / "flow"))
    assert names == {
        "flow.dag.yaml",
        "route.py",
        "words.py",
        "lists/teams.txt",
        "polite.jinja2",
        "short.jinja2",
        "needs.txt",
    }


def test_connections_become_references_and_only_those_that_are_named(invoke: Invoke, tmp_path: Path) -> None:
    output = tmp_path / "built"
    result = invoke("build", "support", "--output", str(output), "--json")
    assert sorted(path.name for path in (output / "connections").iterdir()) == ["model.yaml", "shop.yaml"]
    shop = yaml.safe_load((output / "connections" / "shop.yaml").read_text())
    assert shop == {
        "name": "shop", "type": "custom", "configs": {"region": "north"}, "secrets": {"token": "${env:SHOP_TOKEN}"}
    }  # fmt: skip
    assert (output / "scripts" / "answers.yaml").is_file()
    variables = {item["name"]: item["why"] for item in json.loads(result.stdout)["variables"]}
    assert variables == {"SHOP_TOKEN": "token of the connection 'shop'", "DESK": "flow/route.py:13"}
    example = (output / ".env.example").read_text()
    assert "\nDESK=\n" in example
    assert example.endswith("\nSHOP_TOKEN=\n")


@pytest.mark.parametrize(
    ("text", "expected", "variable"),
    [
        ("type: open_ai\napi_key: ${env:MINE}\nbase_url: ${env:URL}\n", {"api_key": "${env:MINE}", "base_url": "${env:URL}"}, "MINE"),
        ("type: open_ai\napi_key: ${file:key.txt}\n", {"api_key": "${env:AOAI_API_KEY}"}, "AOAI_API_KEY"),
        ("type: azure_open_ai\napi_base: http://x\napi_key: ${env:K}\n", {"api_base": "http://x", "api_key": "${env:K}"}, "K"),
        ("type: serverless\napi_base: http://x\n", {"api_base": "http://x", "api_key": "${env:AOAI_API_KEY}"}, "AOAI_API_KEY"),
        (f"type: open_ai\napi_key: {SECRET}\n", {"api_key": "${env:AOAI_API_KEY}"}, "AOAI_API_KEY"),
        ("type: open_ai\napi_key: <user-input>\nbase_url: http://x\n", {"api_key": "${env:AOAI_API_KEY}", "base_url": "http://x"}, "AOAI_API_KEY"),
    ],
)  # fmt: skip
def test_a_secret_is_written_as_the_variable_that_holds_it(
    text: str, expected: dict[str, str], variable: str, invoke: Invoke, project: Path, tmp_path: Path
) -> None:
    node = {"name": "a", "type": "llm", "source": {"type": "code", "path": "a.jinja2"}, "connection": "aoai"}
    files = {
        "flow.dag.yaml": yaml.safe_dump({"nodes": [{**node, "inputs": {"model": "m"}}]}),
        "a.jinja2": "user:\nhi\n",
    }
    write(project / "flows" / "one", files)
    write(project / "connections", {"aoai.yaml": text, "key.txt": SECRET})
    result = invoke("build", "one", "--output", str(tmp_path / "o"), "--json")
    written = yaml.safe_load((tmp_path / "o" / "connections" / "aoai.yaml").read_text())
    assert {key: value for key, value in written.items() if key not in {"name", "type"}} == expected
    assert variable in [item["name"] for item in json.loads(result.stdout)["variables"]]


def test_the_same_flow_gives_the_same_bytes(invoke: Invoke, tmp_path: Path) -> None:
    for kind in ("folder", "docker"):
        for name in ("a", "b"):
            invoke("build", "support", "--output", str(tmp_path / kind / name), "--format", kind)
        assert contents(tmp_path / kind / "a") == contents(tmp_path / kind / "b")


def test_an_earlier_build_is_replaced_and_nothing_else(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    output = tmp_path / "built"
    invoke("build", "support", "--output", str(output))
    write(output, {".env": "SHOP_TOKEN=mine\n"})
    (project / "flows/support/short.jinja2").unlink()
    (project / "flows/support/flow.dag.yaml").write_text(
        (project / "flows/support/flow.dag.yaml").read_text().replace("short.jinja2", "polite.jinja2")
    )
    assert invoke("build", "support", "--output", str(output)).exit_code == 0
    assert not (output / "flow" / "short.jinja2").exists()
    assert (output / ".env").read_text() == "SHOP_TOKEN=mine\n"
    (output / "flow" / "route.py").write_text("changed\n")
    with pytest.raises(Conflict, match="1 files of the earlier build were changed"):
        invoke("build", "support", "--output", str(output))
    assert invoke("build", "support", "--output", str(output), "--force").exit_code == 0
    assert "def route" in (output / "flow" / "route.py").read_text()


def test_a_folder_that_is_no_build_of_this_flow_is_never_touched(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    output = write(tmp_path / "mine", {"precious.txt": "x"})
    for force in ((), ("--force",)):
        with pytest.raises(Conflict, match="files that are no build"):
            invoke("build", "support", "--output", str(output), *force)
    write(project / "flows" / "support2", {"flow.flex.yaml": "entry: a:f\n", "a.py": "def f(): return 1\n"})
    invoke("build", "support2", "--output", str(tmp_path / "two"))
    with pytest.raises(Conflict, match="a build of 'support2'"):
        invoke("build", "support", "--output", str(tmp_path / "two"), "--force")
    with pytest.raises(Conflict, match="a file of this name"):
        invoke("build", "support", "--output", str(output / "precious.txt"))
    assert contents(output) == contents(write(tmp_path / "again", {"precious.txt": "x"}))


def test_a_manifest_that_names_files_outside_removes_none_of_them(invoke: Invoke, tmp_path: Path) -> None:
    output = tmp_path / "built"
    invoke("build", "support", "--output", str(output))
    outside = write(tmp_path, {"outside.txt": "x"}) / "outside.txt"
    said = json.loads((output / "pilothouse-build.json").read_text())
    said["files"] |= {"../outside.txt": "0", str(outside): "0"}
    (output / "pilothouse-build.json").write_text(json.dumps(said))
    invoke("build", "support", "--output", str(output), "--force")
    assert outside.exists()


def test_a_build_inside_the_flow_does_not_hold_itself(invoke: Invoke, project: Path) -> None:
    output = project / "flows" / "support" / "built"
    for _ in range(2):
        invoke("build", "support", "--output", str(output))
    assert not any("built" in name for name in contents(output))
    listed = json.loads(invoke("list", "--json").stdout)
    assert [item["path"] for item in listed] == ["flows/support"]


def test_an_environment_or_a_build_below_the_flow_is_no_part_of_it(
    invoke: Invoke, project: Path, tmp_path: Path
) -> None:
    inner = {"venv/pyvenv.cfg": "x", "venv/lib/a.py": "x", "out/pilothouse-build.json": "{}", "out/flow/a.py": "x"}
    write(project / "flows" / "support", inner)
    result = invoke("build", "support", "--output", str(tmp_path / "o"), "--json")
    assert not any(name.startswith(("venv", "out")) for name in contents(tmp_path / "o" / "flow"))
    notes = json.loads(result.stdout)["notes"]
    assert {"left out: venv/ (a virtual environment)", "left out: out/ (a build)"} <= set(notes)


def test_a_disk_that_refuses_is_told_and_leaves_no_build(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "start.sh":
            raise OSError(28, "No space left on device", str(path))
        return original(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError):
        invoke("build", "support", "--output", str(tmp_path / "o"))
    assert not (tmp_path / "o" / "pilothouse-build.json").exists()


def test_a_secret_in_the_flows_own_file_is_refused_with_its_line(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    flows = project / "flows"
    python = "environment_variables:\n  MAX_TOKENS: 100\n  MY_API_KEY: abc\nentry: a:f\n"
    write(flows / "flex", {"flow.flex.yaml": python, "a.py": "def f(): return 1\n"})
    with pytest.raises(FlowError, match="MY_API_KEY in the clear") as caught:
        invoke("build", "flex", "--output", str(tmp_path / "o"))
    assert str(caught.value.where).endswith("flow.flex.yaml:3")
    head = "---\nname: p\nmodel:\n  configuration:\n    type: openai\n    model: m\n    api_key: abc\n---\nuser:\nhi\n"
    write(flows, {"p.prompty": head})
    with pytest.raises(FlowError, match="api_key stands in the clear") as caught:
        invoke("build", "flows/p.prompty", "--output", str(tmp_path / "o"))
    assert str(caught.value.where).endswith("p.prompty:7")
    assert not (tmp_path / "o").exists()


def test_a_missing_connection_is_told(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    (project / "connections/model.yaml").unlink()
    with pytest.raises(ConnectionFault, match="there is no connection 'model'"):
        invoke("build", "support", "--output", str(tmp_path / "o"))


def test_there_is_no_executable_and_what_to_use_is_said(invoke: Invoke, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no build as an executable") as caught:
        invoke("build", "support", "--output", str(tmp_path / "o"), "--format", "executable")
    assert "--format docker" in str(caught.value)


def test_a_prompty_is_built_with_the_files_it_names(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    text = "---\nname: ask me\nmodel:\n  configuration:\n    connection: model\n    model: m\nsample: ${file:sample.json}\ninputs:\n  q: {type: string}\n---\nuser:\n{{q}}\n"
    write(project / "prompts", {"ask me.prompty": text, "sample.json": '{"q": "shortly"}', "unrelated.txt": "x"})
    output = tmp_path / "o"
    invoke("build", "prompts/ask me.prompty", "--output", str(output))
    assert set(contents(output / "flow")) == {"ask me.prompty", "sample.json"}
    assert "flow serve 'flow/ask me.prompty'" in (output / "start.sh").read_text()
    done = run_built(output, "flow/ask me.prompty")
    assert "output: short" in done.stdout


def test_a_prompty_that_describes_its_model_names_its_variables(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    head = "---\nname: p\nmodel:\n  configuration:\n    type: openai\n    model: ${env:MODEL}\n    api_key: ${env:MY_KEY}\n---\nuser:\nhi\n"
    write(project / "flows", {"p.prompty": head})
    result = invoke("build", "flows/p.prompty", "--output", str(tmp_path / "o"), "--json")
    assert [item["name"] for item in json.loads(result.stdout)["variables"]] == ["MODEL", "MY_KEY"]


TRICKY = """\
inputs: {a: {type: string, default: "0o14"}, b: {type: string, default: "1e3"}, c: {type: string, default: yes}}
nodes: [{name: n, use_variants: true}]
node_variants: {n: {default_variant_id: v, variants: {
  v: {node: {type: python, source: {type: code, path: e.py}, inputs: {value: "on"}}},
  w: {node: {type: python, source: {type: code, path: e.py}, inputs: {value: 2}}}}}}
additional_includes: [../shared/lists]
"""


def test_a_flow_that_is_not_written_in_blocks_keeps_its_meaning(invoke: Invoke, project: Path, tmp_path: Path) -> None:
    source = "from pilothouse import tool\n\n\n@tool\ndef e(value):\n    return value\n"
    write(project / "flows" / "tricky", {"flow.dag.yaml": TRICKY, "e.py": source})
    invoke("build", "tricky", "--output", str(tmp_path / "o"), "--variant", "${n.w}")
    before, after = load_flow(project / "flows" / "tricky"), load_flow(tmp_path / "o" / "flow")
    assert after.variants == {"n": "w"}
    assert [item.default for item in after.inputs.values()] == ["0o14", "1e3", "yes"]
    assert after.node_variants["n"].variants["v"].node.inputs["value"].value == "on"  # type: ignore[union-attr]
    assert before.inputs.keys() == after.inputs.keys()
    assert after.additional_includes == ()


def test_the_settings_of_the_flow_are_taken_along_and_those_of_the_place_are_not(
    invoke: Invoke, tmp_path: Path
) -> None:
    invoke("build", "support", "--output", str(tmp_path / "o"))
    settings = yaml.safe_load((tmp_path / "o" / "pilothouse.yaml").read_text())
    assert settings == {"flows": {"line_timeout": 30}, "models": {"retries": {"attempts": 2}}}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def asked(address: str, data: Any = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or "null")


@pytest.mark.skipif("serve" not in flow.commands, reason="this Pilothouse has no `flow serve`")
def test_the_one_command_of_a_build_serves_the_flow(invoke: Invoke, tmp_path: Path) -> None:
    output, port = tmp_path / "built", free_port()
    invoke("build", "support", "--output", str(output))
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHON": sys.executable, "SHOP_TOKEN": "x"}
    served = subprocess.Popen(["sh", str(output / "start.sh"), "--port", str(port)], cwd=tmp_path, env=environment)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert served.poll() is None
                time.sleep(0.05)
        assert asked(f"http://127.0.0.1:{port}/score", {"question": "shortly"}) == {"team": "short 1 2 north none"}
        served.send_signal(signal.SIGTERM)
        assert served.wait(60) in {0, 128 + signal.SIGTERM, -signal.SIGTERM}
    finally:
        if served.poll() is None:
            served.kill()
            served.wait()
