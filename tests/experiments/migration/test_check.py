"""The report of a folder: every file stands in it, once, and none is called fine that nobody read."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pilothouse.core.errors import NotFound, UserError
from pilothouse.experiments.migration.check import check_folder
from pilothouse.experiments.migration.types import FileReport, Report
from pilothouse.flows.loader import load_flow

from .projects import (
    EVALUATION,
    GOOD_FLOW,
    broken_flow,
    flex_and_prompty,
    good_flow,
    mixed_projects,
    template_project,
    tool,
    write,
)


def one(report: Report, path: str) -> FileReport:
    return next(file for file in report.files if file.path == path)


def messages(file: FileReport) -> str:
    return "\n".join(f"{finding.line}: {finding.message} | {finding.fix}" for finding in file.findings)


def test_a_good_flow_needs_nothing(tmp_path: Path) -> None:
    report = check_folder(good_flow(tmp_path))
    assert [(file.path, file.verdict) for file in report.files] == [
        ("ask.jinja2", "runs"),
        ("data.jsonl", "runs"),
        ("flow.dag.yaml", "runs"),
        ("read.py", "runs"),
    ]
    assert set(report.projects) == {"."}


def test_every_file_of_fifty_projects_stands_in_the_report(tmp_path: Path) -> None:
    mixed_projects(tmp_path)
    report = check_folder(tmp_path)
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {file.path for file in report.files} == there
    assert len(report.files) == len(there)
    assert len(report.projects) == 50
    assert sum(report.counts.values()) == len(there)
    assert all(finding.fix for file in report.files for finding in file.findings if finding.verdict == "change")
    assert all(file.findings for file in report.files if file.verdict != "runs")


def test_what_is_broken_is_named_with_its_line_and_cure(tmp_path: Path) -> None:
    report = check_folder(broken_flow(tmp_path))
    assert report.counts == {"runs": 0, "note": 0, "change": 5, "unread": 0}
    assert "15: '${asks.output}' names a node that does not exist | did you mean 'ask'?" in messages(
        one(report, "flow.dag.yaml")
    )
    assert "5: the template cannot be read" in messages(one(report, "ask.jinja2"))
    assert "8: this file has 2 @tool functions" in messages(one(report, "read.py"))
    assert "1: 'promptflow.azure' works with Azure alone" in messages(one(report, "azure.py"))
    assert "4: the secret 'api_key'" in messages(one(report, "connection.yaml"))


def test_a_secret_in_the_clear_is_not_repeated(tmp_path: Path) -> None:
    report = check_folder(broken_flow(tmp_path))
    assert "abc123" not in "".join(messages(file) for file in report.files)


@pytest.mark.parametrize("name", ["flow.flex.yaml", "chat.prompty"])
def test_load_flow_is_the_judge_of_every_kind_of_flow(tmp_path: Path, name: str) -> None:
    flex_and_prompty(tmp_path)
    try:
        load_flow(tmp_path / name)
        refused = None
    except UserError as error:
        refused = error.message
    file = one(check_folder(tmp_path), name)
    assert (file.verdict == "change") == (refused is not None)
    assert refused is None or refused in messages(file)


def test_a_project_of_the_template_is_one_project(tmp_path: Path) -> None:
    template_project(tmp_path / "ner")
    good_flow(tmp_path / "other")
    report = check_folder(tmp_path)
    assert set(report.projects) == {"ner", "other"}
    kinds = {file.path.removeprefix("ner/"): (file.kind, file.verdict) for file in report.projects["ner"]}
    assert kinds["experiment.yaml"] == ("template experiment", "change")
    assert kinds["experiment.pr.yaml"] == ("template experiment", "change")
    assert kinds["configs/deployment_config.json"] == ("deployment", "note")
    assert kinds["environment/env.yaml"] == ("environment file", "note")
    assert kinds[".env"] == ("dotenv", "runs")
    assert kinds["sample-request.json"] == ("data", "unread")
    assert kinds["README.md"] == ("other", "unread")
    assert kinds["flows/evaluation/flow.dag.yaml"] == ("dag flow", "note")
    assert "pilothouse migrate experiment experiment.yaml --env pr" in messages(one(report, "ner/experiment.pr.yaml"))


def test_what_changes_results_is_a_note(tmp_path: Path) -> None:
    flow = GOOD_FLOW.replace("gpt-4o", "o3-mini").replace(
        "type: string}\n    outputs", "type: string, default: hi}\n    outputs"
    )
    flow = flow.replace(
        "source: {type: code, path: read.py}", "source: {type: code, path: read.py}\n        enable_cache: true"
    )
    good_flow(tmp_path)
    write(
        tmp_path,
        {
            "flow.dag.yaml": flow.replace(
                "    inputs:\n      text", "    tags: {since: 2024-01-01}\n    inputs:\n      text"
            )
        },
    )
    file = one(check_folder(tmp_path), "flow.dag.yaml")
    text = messages(file)
    assert file.verdict == "note"
    assert "gives max_tokens to 'o3-mini'" in text
    assert "says enable_cache, which prompt flow ignored" in text
    assert "the input 'text' has a default and 'data.jsonl' a column of its name" in text
    assert "'2024-01-01' was a date there and is a text here" in text
    assert all(finding.line for finding in file.findings)


def test_prompt_flows_own_image_is_a_note(tmp_path: Path) -> None:
    good_flow(tmp_path)
    image = "    environment: {image: mcr.microsoft.com/azureml/promptflow/promptflow-runtime:latest}\n"
    write(tmp_path, {"flow.dag.yaml": image + GOOD_FLOW.lstrip("\n")})
    assert "gets no more security updates" in messages(one(check_folder(tmp_path), "flow.dag.yaml"))


def test_a_page_with_filters_of_its_own_is_a_note_until_a_flow_uses_it(tmp_path: Path) -> None:
    good_flow(tmp_path)
    write(tmp_path, {"page.html.j2": "{{ text|mine }}"})
    report = check_folder(tmp_path)
    assert (one(report, "page.html.j2").verdict, one(report, "flow.dag.yaml").verdict) == ("note", "runs")
    write(tmp_path, {"ask.jinja2": "user:\n{{ text|mine }}"})
    assert one(check_folder(tmp_path), "flow.dag.yaml").verdict == "change"


def test_mixed_aggregation_is_a_note_and_plain_aggregation_is_not(tmp_path: Path) -> None:
    files = {
        "grade.py": tool("grade", "label: str, truth: str", "1"),
        "total.py": tool("total", "grades: list, truths: list = None", "1"),
    }
    mixed = write(tmp_path / "mixed", {"flow.dag.yaml": EVALUATION, **files})
    plain = write(tmp_path / "plain", {"flow.dag.yaml": EVALUATION.replace(', truths: "${inputs.truth}"', ""), **files})
    assert "after a resume" in messages(one(check_folder(mixed), "flow.dag.yaml"))
    assert one(check_folder(plain), "flow.dag.yaml").verdict == "runs"


def test_links_tools_folders_and_hidden_files_are_named_not_entered(tmp_path: Path) -> None:
    good_flow(tmp_path)
    write(
        tmp_path,
        {".git/config": "x", ".vscode/settings.json": "{ // a comment\n}", "env/pyvenv.cfg": "x", "env/a.py": "1"},
    )
    (tmp_path / "loop").symlink_to(tmp_path)
    report = check_folder(tmp_path)
    unread = {file.path for file in report.files if file.verdict == "unread"}
    assert unread == {".git", "env", "loop", ".vscode/settings.json"}


def test_yaml_of_other_programs_is_not_read_and_broken_yaml_of_ours_needs_a_change(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "compose.yaml": "services: {}\n",
            "cluster.yaml": "kind: Pod\ntype: x\n---\nkind: Service\n",
            "helm.yaml": "{{ include }}: [\n",
            "run.yml": "flow: .\ndata: [\n",
        },
    )
    verdicts = {file.path: file.verdict for file in check_folder(tmp_path).files}
    assert verdicts == {"cluster.yaml": "unread", "compose.yaml": "unread", "helm.yaml": "unread", "run.yml": "change"}


def test_run_files_and_connections_are_judged_by_their_readers(tmp_path: Path) -> None:
    good_flow(tmp_path)
    write(
        tmp_path,
        {
            "run.yml": "flow: .\ndata: data.jsonl\nruntime: auto\n",
            "azure.yml": "flow: .\ndata: azureml:rows:1\n",
            "typo.yml": "flow: .\ncolumn_maping: {}\ndata: data.jsonl\n",
            "connections/good.yaml": "type: open_ai\napi_key: ${env:OPEN_AI_KEY}\n",
            "connections/entra.yaml": "type: azure_open_ai\napi_base: https://example.net\nauth_mode: meid_token\n",
            "connections/odd.yaml": "type: openia\n",
        },
    )
    report = check_folder(tmp_path)
    found = {file.path: (file.verdict, messages(file)) for file in report.files}
    assert found["run.yml"][0] == "note"
    assert "'runtime' in run.yml means nothing here" in found["run.yml"][1]
    assert found["azure.yml"][0] == "change"
    assert "its data is in Azure" in found["azure.yml"][1]
    assert "2: unknown key 'column_maping' | did you mean 'column_mapping'?" in found["typo.yml"][1]
    assert found["connections/good.yaml"][0] == "runs"
    assert "ENTRA_TOKEN" in found["connections/entra.yaml"][1]
    assert found["connections/odd.yaml"][0] == "change"


def test_requirements_dotenv_and_our_own_experiments(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a/requirements.txt": "numpy\npromptflow[azure]==1.18\nPromptFlow_Tools\n# promptflow\n",
            "b/.env": 'AOAI={"api_key": "hidden-value"}\n',
            "c/.env": "no equals sign\n",
            "d/experiment.yaml": "name: x\nflow: .\ndata: d.csv\nevaluators: [{use: latency}]\n",
            "e/experiment.yaml": "name: x\nflow: .\ndata: d.csv\nevaluaters: []\nevaluators: [{use: latency}]\n",
        },
    )
    report = check_folder(tmp_path)
    assert [finding.line for finding in one(report, "a/requirements.txt").findings] == [2, 3]
    assert one(report, "b/.env").verdict == "note"
    assert "hidden-value" not in messages(one(report, "b/.env"))
    assert "1: this line is not NAME=value" in messages(one(report, "c/.env"))
    assert (one(report, "d/experiment.yaml").kind, one(report, "d/experiment.yaml").verdict) == ("experiment", "runs")
    assert "4: unknown key 'evaluaters'" in messages(one(report, "e/experiment.yaml"))


def test_no_code_of_a_project_is_run(tmp_path: Path) -> None:
    good_flow(tmp_path)
    trap = f"open({str(tmp_path / 'trap')!r}, 'w')\n"
    (tmp_path / "read.py").write_text(trap + (tmp_path / "read.py").read_text())
    before = set(sys.modules)
    check_folder(tmp_path)
    assert not (tmp_path / "trap").exists()
    assert not {name for name in set(sys.modules) - before if "read" in name.split(".") or name == "__pf_main__"}


def test_hostile_files_do_not_stop_the_report(tmp_path: Path) -> None:
    (tmp_path / "flow.dag.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "null.py").write_bytes(b"x = '\0'")
    (tmp_path / "escape.py").write_text('import re\nre.compile("\\d")\n')
    (tmp_path / "bad.jinja2").write_bytes(b"\xff")
    (tmp_path / "requirements.txt").write_bytes(b"\xff")
    (tmp_path / ".env").write_bytes(b"A=\xff")
    (tmp_path / "deployment_config.json").write_text("{")
    os.mkfifo(tmp_path / "pipe.py")
    verdicts = {file.path: file.verdict for file in check_folder(tmp_path).files}
    assert verdicts.pop("escape.py") == "runs"
    assert verdicts.pop("pipe.py") == "unread"
    assert set(verdicts.values()) == {"change"}, verdicts


def test_one_file_can_be_checked_and_nothing_cannot(tmp_path: Path) -> None:
    good_flow(tmp_path)
    assert [file.path for file in check_folder(tmp_path / "flow.dag.yaml").files] == ["flow.dag.yaml"]
    with pytest.raises(NotFound):
        check_folder(tmp_path / "nowhere")
