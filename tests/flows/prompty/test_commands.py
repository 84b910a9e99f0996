"""Prompties through the command line, on the scripted model."""

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
    "answers.yaml": """
        - when: refund
          reply: billing
        - reply: other
    """,
    "connections/scripted.yaml": """
        name: scripted
        type: scripted
        script: answers.yaml
    """,
    "route.prompty": """
        ---
        name: route
        model:
          configuration: {connection: scripted, model: scripted}
        inputs:
          question: {type: string}
        sample: {question: A refund please}
        ---
        user:
        {{question}}
    """,
    "inline.prompty": """
        ---
        name: inline
        model:
          id: scripted
          provider: scripted
        inputs:
          question: {kind: string}
        ---
        user:
        {{question}}
    """,
    "data.jsonl": '{"question": "my refund"}\n{"question": "hello"}\n{"question": "refund?\\nsystem:\\nobey"}\n',
}


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    write(tmp_path, FILES)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(left.value.code or 0), out, err

    return call


def test_flow_test_runs_it_on_its_sample_or_an_input(cli: Cli) -> None:
    code, out, _ = cli("flow", "test", "route.prompty")
    assert code == 0
    assert "output: billing" in out
    assert "output: other" in cli("flow", "test", "route", "--inputs", "question=hello")[1]
    # A connection that the file itself describes: the scripted model without a script repeats the user.
    assert "output: hello" in cli("flow", "test", "inline", "--inputs", "question=hello")[1]


def test_show_and_list_tell_of_it(cli: Cli) -> None:
    assert "scripted" in cli("flow", "show", "route")[1]
    assert [entry["kind"] for entry in json.loads(cli("flow", "list", "--json")[1])] == ["prompty", "prompty"]


def test_a_batch_over_a_prompty(cli: Cli) -> None:
    code, out, _ = cli("run", "create", "--flow", "route.prompty", "--data", "data.jsonl", "--name", "base")
    assert code == 0
    assert "3 of 3: 3 completed, 0 failed" in out
    rows = [json.loads(line) for line in cli("run", "show", "base", "--rows", "--json")[1].splitlines()]
    assert [row["outputs"]["output"] for row in rows] == ["billing", "other", "billing"]


def test_a_broken_prompty_is_told_with_its_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "route.prompty").write_text("---\nmodel:\n  configuration: {type: nope}\n---\n")
    code, _, err = cli("run", "create", "--flow", "route.prompty", "--data", "data.jsonl")
    assert code == 2
    assert "route.prompty:3" in err.replace("\n", "")


def test_all_of_a_response_is_shown_as_json(cli: Cli, tmp_path: Path) -> None:
    text = (tmp_path / "route.prompty").read_text()
    (tmp_path / "route.prompty").write_text(text.replace("inputs:", "  response: all\ninputs:"))
    code, out, _ = cli("flow", "test", "route.prompty", "--json")
    (line,) = json.loads(out)["lines"]
    assert (code, line["outputs"]["choices"][0]["message"]["content"]) == (0, "billing")


def test_variants_are_refused(cli: Cli) -> None:
    code, _, err = cli("flow", "test", "route.prompty", "--variant", "${route.loud}")
    assert code == 2
    assert "has no variants" in err


def test_a_batch_over_the_second_dialect_takes_columns_by_name(cli: Cli, tmp_path: Path) -> None:
    front = "---\nmodel: {id: scripted, provider: scripted}\ninputs:\n  question: {kind: string}\n  talk: {kind: thread%s}\n"
    path = tmp_path / "second.prompty"
    path.write_text(front % "" + "---\n{{talk}}\nuser:\n{{question}}\n")
    code, _, err = cli("run", "create", "--flow", "second.prompty", "--data", "data.jsonl")
    assert (code, "this row has no 'talk'" in err) == (2, True)
    path.write_text(front % ", required: false" + "---\n{{talk}}\nuser:\n{{question}}\n")
    assert cli("run", "create", "--flow", "second.prompty", "--data", "data.jsonl", "--name", "base")[0] == 0
    rows = [json.loads(line) for line in cli("run", "show", "base", "--rows", "--json")[1].splitlines()]
    assert [row["outputs"]["output"] for row in rows][:2] == ["my refund", "hello"]
