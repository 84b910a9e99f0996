"""Flex flows through the command line: `flow`, `run create`, resume and aggregation over a whole batch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pilothouse.cli.main import main

from ..building import write

Cli = Callable[..., tuple[int, str, str]]

FILES = {
    "pilothouse.yaml": "",
    "flows/scale/flow.flex.yaml": """
        entry: scale:Scale
        sample:
          inputs: {x: 4}
          init: {by: 2}
    """,
    "flows/scale/scale.py": """
        from pathlib import Path
        from uuid import uuid4

        class Scale:
            def __init__(self, by: int):
                self.by = by
                self.made = uuid4().hex
            def __call__(self, x: int) -> dict:
                broken = Path(__file__).with_name(".broken")
                if broken.exists() and str(x) in broken.read_text().split():
                    raise ValueError(f"no answer for {x}")
                return {"x": x, "y": self.by * x, "made": self.made}
            def __aggregate__(self, line_results: list) -> dict:
                xs = [line.x for line in line_results]
                return {
                    "rows": len(xs),
                    "in_order": xs == sorted(xs),
                    "mismatched": sum(line.y != self.by * line.x for line in line_results),
                    "instances": len({line.made for line in line_results}),
                }
    """,
}


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    write(tmp_path, FILES)
    (tmp_path / "data.jsonl").write_text("".join(json.dumps({"x": x}) + "\n" for x in range(12)))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(left.value.code or 0), out, err

    return call


def metrics(cli: Cli) -> dict[str, float]:
    _, out, _ = cli("run", "show", "base", "--json")
    found: dict[str, float] = json.loads(out)["metrics"]
    return found


def test_flow_test_uses_the_sample_and_init(cli: Cli) -> None:
    code, out, _ = cli("flow", "test", "flows/scale", "--json")
    line = json.loads(out)
    assert (code, line["lines"][0]["outputs"]["y"], line["aggregation"]["metrics"]["rows"]) == (0, 8, 1.0)
    _, out, _ = cli("flow", "test", "scale", "x=5", "--init", "by=3", "--json")
    assert json.loads(out)["lines"][0]["outputs"]["y"] == 15
    code, _, err = cli("flow", "test", "scale", "x=5", "--init", "bi=3")
    assert code == 2
    assert "known: by" in err


def test_flow_show_and_list_tell_of_it(cli: Cli) -> None:
    assert "__aggregate__" in cli("flow", "show", "scale")[1]
    (entry,) = json.loads(cli("flow", "list", "--json")[1])
    assert (entry["kind"], entry["nodes"][0]["name"]) == ("flex", "Scale")


def test_a_batch_runs_on_one_instance_and_aggregates_in_order(cli: Cli) -> None:
    code, out, err = cli("run", "create", "--flow", "flows/scale", "--data", "data.jsonl", "--name", "base")
    assert (code, err) == (0, "")
    assert "12 of 12: 12 completed, 0 failed" in out
    assert metrics(cli) == {"rows": 12, "in_order": 1, "mismatched": 0, "instances": 1}


def test_a_resumed_batch_aggregates_every_row_in_order(cli: Cli, tmp_path: Path) -> None:
    # A hidden file is no part of the flow's content: the run may go on when it is gone.
    (tmp_path / "flows/scale/.broken").write_text("0 7")
    code, out, _ = cli("run", "create", "--flow", "flows/scale", "--data", "data.jsonl", "--name", "base")
    assert code == 1
    assert "10 completed, 2 failed" in out
    assert metrics(cli)["rows"] == 10
    (tmp_path / "flows/scale/.broken").unlink()
    assert cli("run", "resume", "base")[0] == 0
    found = metrics(cli)
    assert (found["rows"], found["in_order"], found["mismatched"], found["instances"]) == (12, 1, 0, 2)


def test_a_run_file_gives_init(cli: Cli, tmp_path: Path) -> None:
    run = "flow: flows/scale\ndata: data.jsonl\nname: base\ninit: {by: 5}\n"
    (tmp_path / "run.yml").write_text(run)
    assert cli("run", "create", "--file", "run.yml")[0] == 0
    assert metrics(cli)["mismatched"] == 0
    _, out, _ = cli("run", "show", "base", "--rows", "--json")
    assert '"y": 25' in out or '"y":25' in out


def test_a_missing_init_argument_is_told_before_anything_is_recorded(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "flows/scale/flow.flex.yaml").write_text("entry: scale:Scale")
    code, _, err = cli("run", "create", "--flow", "flows/scale", "--data", "data.jsonl", "--name", "base")
    assert code == 2
    assert "made with 'by', which nothing gives" in err
    assert cli("run", "show", "base")[0] == 2
