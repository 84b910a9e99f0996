"""Every command line of prompt flow and what it becomes: argv in, argv out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.cli.pf import shown
from pilothouse.cli.promptflow.grammar import Answer, Command
from pilothouse.cli.promptflow.parser import meaning_of
from pilothouse.core.errors import NotFound, UserError

SAME = [
    # pf flow
    ("flow init --flow new", "flow init --flow new"),
    ("flow init --flow new --type chat", "flow init --flow new --type chat"),
    (
        "flow init --flow old --entry a.py --function f --prompt-template p=q.jinja2 r=s.jinja2",
        "flow init --flow old --entry a.py --function f --prompt-template p=q.jinja2 --prompt-template r=s.jinja2",
    ),
    ("flow test --flow f", "flow test f"),
    ("flow test --flow f --inputs a=1 b=2", "flow test f --inputs a=1 --inputs b=2"),
    ("flow test --flow f --inputs a=1 --inputs b=2", "flow test f --inputs a=1 --inputs b=2"),
    ("flow test --inputs a=1 b=2 --flow f", "flow test f --inputs a=1 --inputs b=2"),
    ("flow test --flow f --inputs rows.jsonl", "flow test f --inputs rows.jsonl"),
    ("flow test --flow f --input rows.jsonl", "flow test f --inputs rows.jsonl"),
    ("flow test --flow=f --node n --inputs=a=1", "flow test f --node n --inputs a=1"),
    ("flow test --flow f --variant ${n.v}", "flow test f --variant ${n.v}"),
    ("flow test --flow f --interactive", "flow test f --interactive"),
    ("flow test --flow f --inter --verbose", "flow test f --interactive"),
    ("flow test --flow f --ui", "flow test f --ui"),
    ("flow test --flow f --multi-modal", "flow test f --ui"),
    ("flow test --flow f --init k=v l=w --debug", "flow test f --init k=v --init l=w"),
    ("flow test --flow f -d --user-agent me", "flow test f"),
    ("flow validate --source f", "flow validate f"),
    ("flow build --source f --output o", "flow build f --output o --format folder"),
    ("flow build --source f -o o -f docker -v ${n.v}", "flow build f --output o --format docker --variant ${n.v}"),
    ("flow build --source f --output o --format executable", "flow build f --output o --format executable"),
    ("flow serve --source f", "flow serve f"),
    (
        "flow serve --source f --port 9000 --host 0.0.0.0 --environment-variables A=1 B=2 --init k=v --skip-open-browser",
        "flow serve f --host 0.0.0.0 --port 9000 --environment-variables A=1 --environment-variables B=2 --init k=v --skip-open-browser",
    ),
    # pf run
    ("run create --flow f --data d", "run create --flow f --data d --json"),
    ("run create -f run.yml --stream", "run create --file run.yml --stream --json"),
    ("run create -f a/run.yml -s -n x", "run create --file a/run.yml --name x --stream --json"),
    ("run create -f a/run.yml --data d.csv", "run create --file a/run.yml --data a/d.csv --json"),
    ("run create -f a/run.yml --data /d.csv", "run create --file a/run.yml --data /d.csv --json"),
    ("run create -f a/run.yml --data dataset:d", "run create --file a/run.yml --data dataset:d --json"),
    (
        "run create --flow f --data d --column-mapping a=${data.x} b=${run.outputs.y} --run base",
        "run create --flow f --run base --data d --column-mapping a=${data.x} --column-mapping b=${run.outputs.y} --json",
    ),
    (
        "run create --flow f --data d --connections n.connection=c n.deployment_name=m",
        "run create --flow f --data d --connections n.connection=c --connections n.deployment_name=m --json",
    ),
    (
        "run create --flow f --data d --environment-variables A=1 B=${c.api_base} --init k=v",
        "run create --flow f --data d --environment-variables A=1 --environment-variables B=${c.api_base} --init k=v --json",
    ),
    (
        "run create --flow f --data d --set display_name=x tags.k=v --variant ${n.v}",
        "run create --flow f --variant ${n.v} --data d --set display_name=x --set tags.k=v --json",
    ),
    (
        "run create --resume-from base --name more --set tags.k=v",
        "run create --name more --resume-from base --force --set tags.k=v --json",
    ),
    ("run create --flow f --column-mapping 'a=b'", "run create --flow f --column-mapping a=b --json"),
    ("run update -n r --set display_name=x description=y tags.k=v",
     "run update r --set display_name=x --set description=y --set tags.k=v --json"),
    ("run stream --name r", "run stream r --json"),
    ("run show -n r", "run show r --json"),
    ("run show-metrics -n r", "run show-metrics r --json"),
    ("run archive -n r", "run archive r --json"),
    ("run restore --name r", "run restore r --json"),
    ("run cancel -n r", "run cancel r --json"),
    ("run show-details -n r", "run show-details r"),
    ("run show-details -n r -r 5", "run show-details r --max-results 5"),
    ("run show-details --name r --all-results", "run show-details r --all-results"),
    ("run list", "run list --json"),
    ("run list -r 5 -o table", "run list --max-results 5"),
    ("run list --all-results --include-archived --output table", "run list --all-results --include-archived"),
    ("run list --archived-only", "run list --archived-only --json"),
    ("run visualize -n a", "run visualize a --open"),
    ("run visualize --names a,b --html-path p.html", "run visualize a b --output p.html"),
    ("run delete -n r", "run delete r"),
    ("run delete -n r -y", "run delete r --yes"),
    ("run delete -n r --assume-yes", "run delete r --yes"),
    # pf connection
    ("connection create -f c.yaml", "connection create --file c.yaml --replace --json"),
    (
        "connection create --file c.yaml --set api_base=x api_version=y --name n",
        "connection create --file c.yaml --name n --set api_base=x --set api_version=y --replace --json",
    ),
    ("connection create -f .env -n custom", "connection create --file .env --name custom --replace --json"),
    ("connection update -n c --set api_base=x", "connection update c --set api_base=x --json"),
    ("connection show --name c", "connection show c --json"),
    ("connection list", "connection list --json"),
    ("connection list --all-results", "connection list --json"),
    ("connection delete -n c --yes", "connection delete c --yes"),
    # the rest
    ("tool list", "flow tools --json"),
    ("tool validate --source package.module.function", "flow tools --check"),
    ("config show", "doctor"),
    ("--version", "--version"),
    ("-v", "--version"),
    ("version", "--version"),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours"), SAME, ids=[theirs for theirs, _ in SAME])
def test_a_command_becomes_ours(theirs: str, ours: str) -> None:
    meant = meaning_of(theirs.split())
    assert isinstance(meant, Command)
    assert meant.arguments == ours.split()
    assert meant.environment == {}


NOTED = [
    ("flow serve --source f --engine fastapi", "--engine was ignored"),
    ("flow serve --source f --static_folder s", "--static_folder was ignored"),
    ("flow test --flow f --collection c", "pilothouse trace list"),
    ("flow test --flow f --detail d", "--detail was ignored"),
    ("flow test --flow f --config connection.provider=local", "--config was ignored"),
    ("flow init --flow f --yes", "nothing is overwritten"),
    ("flow build --source f --output o --flow-only", "--flow-only was ignored"),
    ("connection list -r 5", "--max-results was ignored"),
    ("tool list --flow f", "pilothouse flow show f"),
    ("run create --flow f --environment-variables", "the project's .env is read in any case"),
]


@pytest.mark.parametrize(("theirs", "words"), NOTED, ids=[theirs for theirs, _ in NOTED])
def test_what_means_nothing_here_is_said(theirs: str, words: str) -> None:
    meant = meaning_of(theirs.split())
    assert isinstance(meant, Command)
    assert words in " ".join(meant.notes)


ANSWERED = [
    ("service start", 0, "no service is needed"),
    ("service start -p 5000 --force", 0, "no service is needed"),
    ("service stop", 0, "no service is needed"),
    ("service status", 0, "no service is needed"),
    ("upgrade --yes", 2, "pip install --upgrade pilothouse"),
    ("trace delete --run r", 2, "pilothouse trace list --run r"),
    ("trace delete --collection c --started-before 2026-01-01", 2, "retention_days"),
    ("config set telemetry.enabled=false", 0, "no telemetry"),
    ("config set trace.destination=local", 0, "pilothouse trace list"),
    ("config set trace.destination=none", 0, "enabled: false"),
    ("config set connection.provider=local", 0, "connections/"),
    ("config set connection.provider=azureml://subscriptions/x --path p", 2, "pilothouse connection add"),
    ("config set run.output_path=./runs", 2, "--format promptflow"),
    ("config set telemetry.enabled=false run.output_path=x", 2, "run.output_path"),
    ("tool init --tool t --package p", 2, "package_tools"),
    ("tool validate --source t.py", 2, "pilothouse flow validate"),
    ("flow save --entry m:f --path d", 2, "entry: m:f"),
    ("flow test --flow f --experiment e", 2, "pilothouse experiment run"),
    ("run create --source folder", 2, "--against folder"),
    ("run build --source r --output o", 2, "pilothouse flow build"),
    ("experiment start --file e --stream", 2, "pilothouse experiment run"),
]


@pytest.mark.parametrize(("theirs", "code", "words"), ANSWERED, ids=[theirs for theirs, _, _ in ANSWERED])
def test_what_has_no_counterpart_is_answered(theirs: str, code: int, words: str) -> None:
    meant = meaning_of(theirs.split())
    assert isinstance(meant, Answer)
    assert (meant.exit_code, words in meant.text) == (code, True), meant.text


REFUSED = [
    ("runs list", "did you mean 'run'?"),
    ("run lst", "did you mean 'list'?"),
    ("run list --archive-only", "--archived-only"),
    ("run show", "--name"),
    ("run list -r many", "invalid int value"),
    ("run list -o yaml", "invalid choice"),
    ("run create --flow f --file g", "one of them"),
    ("run create --resume-from r --flow f", "one of them"),
    ("run create --flow f --environment-variables nothing.env", "a .env file"),
    ("flow test", "--flow"),
    ("flow test --flow f stray", "'stray' is not taken"),
    ("flow build --source f --output o --format zip", "invalid choice"),
    ("config set telemetry.enabled", "KEY=VALUE"),
    ("config set telemetri.enabled=false", "did you mean 'telemetry.enabled'?"),
    ("connection create --name x", "--file"),
]


@pytest.mark.parametrize(("theirs", "words"), REFUSED, ids=[theirs for theirs, _ in REFUSED])
def test_a_mistake_is_told_with_the_nearest(theirs: str, words: str) -> None:
    with pytest.raises((UserError, NotFound)) as error:
        meaning_of(theirs.split())
    assert words in str(error.value)


def test_the_variables_of_a_file_are_set_and_their_values_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "keys.env"
    path.write_text("KEY=sk-0123456789\n# a comment\nOTHER='x y'\n")
    for words in (
        ["flow", "test", "--flow", "f"],
        ["flow", "serve", "--source", "f"],
    ):
        meant = meaning_of([*words, "--environment-variables", str(path)])
        assert isinstance(meant, Command)
        assert meant.environment == {"KEY": "sk-0123456789", "OTHER": "x y"}
        assert shown(meant).startswith("KEY=... OTHER=... pilothouse ")
    meant = meaning_of(["run", "create", "--flow", "f", "--environment-variables", str(path), "A=b"])
    assert isinstance(meant, Command)
    assert meant.environment == {}
    assert meant.arguments[4:8] == ["--environment-variables", str(path), "--environment-variables", "A=b"]


def test_a_secret_variable_is_set_and_not_recorded() -> None:
    words = ["run", "create", "--flow", "f", "--environment-variables", "OPENAI_API_KEY=sk-0123456789", "MAX_TOKENS=5"]
    meant = meaning_of(words)
    assert isinstance(meant, Command)
    assert meant.environment == {"OPENAI_API_KEY": "sk-0123456789"}
    assert meant.arguments[-3:] == ["--environment-variables", "MAX_TOKENS=5", "--json"]
    assert "sk-0123456789" not in shown(meant)
    assert "not recorded" in meant.notes[0]


def test_a_secret_on_the_command_line_is_not_repeated() -> None:
    meant = meaning_of(["connection", "create", "-f", "c.yaml", "--set", "api_key=sk-0123456789", "api_base=x"])
    assert "sk-0123456789" not in shown(meant)
    assert "--set api_base=x" in shown(meant)
    assert "${env:KEY}" in shown(meaning_of(["connection", "update", "-n", "c", "--set", "api_key=${env:KEY}"]))


@pytest.mark.parametrize("words", [[], ["run"], ["run", "create", "--help"], ["--help"]])
def test_help_names_our_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if "--help" in words:
        with pytest.raises(SystemExit):
            meaning_of(words)
    else:
        meant = meaning_of(words)
        assert isinstance(meant, Answer)
        assert meant.exit_code == 0
    assert "ilothouse" in capsys.readouterr().out
