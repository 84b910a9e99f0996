"""Prompt flow projects of our own writing: one of each kind of trouble, and fifty mixed ones for the report."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

GOOD_FLOW = """
    inputs:
      text: {type: string}
    outputs:
      label: {type: string, reference: "${read.output}"}
    nodes:
      - name: ask
        type: llm
        source: {type: code, path: ask.jinja2}
        inputs: {deployment_name: gpt-4o, max_tokens: 20, text: "${inputs.text}"}
        connection: aoai
        api: chat
      - name: read
        type: python
        source: {type: code, path: read.py}
        inputs: {answer: "${ask.output}"}
"""
EVALUATION = """
    inputs:
      label: {type: string}
      truth: {type: string}
    outputs:
      grade: {type: bool, reference: "${grade.output}"}
    nodes:
      - name: grade
        type: python
        source: {type: code, path: grade.py}
        inputs: {label: "${inputs.label}", truth: "${inputs.truth}"}
      - name: total
        type: python
        aggregation: true
        source: {type: code, path: total.py}
        inputs: {grades: "${grade.output}", truths: "${inputs.truth}"}
"""
VARIANTS = """
    inputs:
      text: {type: string}
    outputs:
      label: {type: string, reference: "${read.output}"}
    nodes:
      - {name: ask, use_variants: true}
      - name: read
        type: python
        source: {type: code, path: read.py}
        inputs: {answer: "${ask.output}"}
    node_variants:
      ask:
        default_variant_id: short
        variants:
          short:
            node:
              type: python
              source: {type: code, path: echo.py}
              inputs: {text: "${inputs.text}"}
          long:
            node:
              type: python
              source: {type: code, path: shout.py}
              inputs: {text: "${inputs.text}"}
"""
TOOL = "from pilothouse import tool\n\n\n@tool\ndef {name}({arguments}):\n    return {returns}\n"
EXPERIMENT = """
    name: ner
    flow: flows/standard
    runtime: compute-1
    connections:
      - name: aoai
        connection_type: AzureOpenAIConnection
        api_base: https://example.openai.azure.com
        api_version: "2024-02-01"
        api_key: ${api_key}
        api_type: azure
    datasets:
      - name: train
        source: data/train.jsonl
        description: Rows to learn from.
        mappings: {text: "${data.text}"}
      - name: held_out
        source: held_out.csv
        mappings: {text: "${data.text}"}
    evaluators:
      - name: exact
        flow: evaluation
        datasets:
          - name: train
            mappings: {label: "${run.outputs.label}", truth: "${data.truth}"}
          - name: other_truth
            source: data/truths.csv
            reference: held_out
            mappings: {label: "${run.outputs.label}", truth: "${data.gold}"}
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files by their relative names and return the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def tool(name: str, arguments: str, returns: str) -> str:
    return TOOL.format(name=name, arguments=arguments, returns=returns)


def good_flow(folder: Path) -> Path:
    """A flow that runs as it is, with everything beside it."""
    return write(
        folder,
        {
            "flow.dag.yaml": GOOD_FLOW,
            "ask.jinja2": "system:\nOne word.\n\nuser:\n{{text}}\n",
            "read.py": tool("read", "answer: str", "answer.strip()"),
            "data.jsonl": '{"text": "hello"}\n{"text": "good bye"}\n',
        },
    )


def template_project(folder: Path) -> Path:
    """A project of the GenAIOps template: two data sets, an evaluation, an overlay, Azure's settings."""
    write(
        folder,
        {
            "experiment.yaml": EXPERIMENT,
            "experiment.pr.yaml": "datasets:\n  - name: small\n    source: data/train.jsonl\n"
            '    mappings: {text: "${data.text}"}\nevaluators:\n',
            "flows/standard/flow.dag.yaml": VARIANTS,
            "flows/standard/read.py": tool("read", "answer: str", "answer"),
            "flows/standard/echo.py": tool("echo", "text: str", "text"),
            "flows/standard/shout.py": tool("shout", "text: str", "text.upper()"),
            "flows/evaluation/flow.dag.yaml": EVALUATION,
            "flows/evaluation/grade.py": tool("grade", "label: str, truth: str", "label == truth"),
            "flows/evaluation/total.py": "from pilothouse import log_metric, tool\n\n\n@tool\n"
            "def total(grades: list, truths: list):\n    log_metric('exact', grades.count(True) / len(truths))\n",
            "data/train.jsonl": '{"text": "ham", "truth": "ham"}\n{"text": "spam", "truth": "SPAM"}\n',
            "data/held_out.csv": "text,truth\nham,ham\n",
            "data/truths.csv": "gold\nham\n",
            "configs/deployment_config.json": json.dumps({"azure_managed_endpoint": [], "webapp_endpoint": []}),
            "environment/env.yaml": "SUBSCRIPTION_ID: ${SUBSCRIPTION_ID}\nKEY_VAULT_NAME: ${KEY_VAULT_NAME}\n",
            ".env": "AOAI_API_KEY=not-a-real-key\n",
            "sample-request.json": '{"text": "hello"}',
            "README.md": "# NER\n",
        },
    )
    return folder


def flex_and_prompty(folder: Path) -> Path:
    """A flex flow and a prompt file, with the files that prompt flow's samples put beside them."""
    return write(
        folder,
        {
            "flow.flex.yaml": "entry: entry:Chat\nsample:\n  inputs: {question: hello}\n",
            "entry.py": "from promptflow.tracing import trace\n\n\nclass Chat:\n    @trace\n"
            "    def __call__(self, question: str) -> str:\n        return question\n",
            "chat.prompty": "---\nname: chat\nmodel:\n  api: chat\n  configuration:\n    type: azure_openai\n"
            "    azure_deployment: gpt-4o\ninputs:\n  question: {type: string}\n---\nsystem:\nBe short.\n\n"
            "user:\n{{question}}\n",
            "run.yml": "flow: .\ndata: data.csv\ncolumn_mapping: {question: '${data.question}'}\n",
            "data.csv": "question,answer\nhello,hi\n",
            "requirements.txt": "promptflow\npromptflow-tools>=1.4\nnumpy\n",
        },
    )


def broken_flow(folder: Path) -> Path:
    """A flow with what is found in real ones that no longer work."""
    return write(
        folder,
        {
            "flow.dag.yaml": GOOD_FLOW.replace("${ask.output}", "${asks.output}"),
            "ask.jinja2": "system:\n{% if text %}\n\nuser:\n{{text}}\n",
            "read.py": tool("read", "answer: str", "answer")
            + tool("again", "answer: str", "answer").split("\n\n\n")[1],
            "azure.py": "from promptflow.azure import PFClient\n",
            "connection.yaml": "name: aoai\ntype: azure_open_ai\napi_base: https://example.net\napi_key: abc123\n",
        },
    )


def pipelines(folder: Path) -> Path:
    """What stands around flows: a pipeline, a make file, a container file, a notebook, an environment, an endpoint."""
    cells = [
        {"cell_type": "markdown", "source": ["pf run create is explained here"]},
        {"cell_type": "code", "source": ["%pip install promptflow\n", "from promptflow.core import tool\n"]},
        {"cell_type": "code", "source": "!pf flow test --flow ."},
        {"cell_type": "code", "source": ["from promptflow.azure import PFClient"]},
    ]
    return write(
        folder,
        {
            ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    steps:\n      - run: pf run create --file run.yml\n"
            "      - run: |\n          python -m llmops.common.prompt_pipeline --env_name pr\n",
            "azure-pipelines.yml": "stages:\n- stage: run\n  jobs: []\nsteps:\n- script: pfazure run create --flow .\n",
            "Makefile": "test:\n\tpf flow test --flow .\n\t# pf run create is not called\n",
            "scripts/go.sh": "set -e && pf connection create --file a.yaml\npf service start\necho performance of pf\n",
            "Dockerfile": "FROM example.io/azureml/promptflow/promptflow-runtime:20240101\nRUN pip install promptflow-tools numpy\n",
            "try.ipynb": json.dumps({"cells": cells, "nbformat": 4}),
            "conda.yaml": "name: env\nchannels: [defaults]\ndependencies:\n  - python=3.9.16\n  - pip\n"
            "  - pip:\n      - promptflow[azure]==1.18\n      - numpy\n",
            "pyproject.toml": '[project]\nname = "a"\ndependencies = ["promptflow-devkit>=1", "numpy"]\n',
            "deployment.yml": "$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json\n"
            "name: blue\n",
        },
    )


def mixed_projects(folder: Path, count: int = 50) -> Path:
    """Write ``count`` projects of the five kinds, a thousand rows of data in each tenth."""
    makers = (good_flow, template_project, flex_and_prompty, broken_flow, lambda place: pipelines(good_flow(place)))
    for number in range(count):
        project = makers[number % len(makers)](folder / f"project_{number:02}")
        if number % 10 == 0:
            rows = "".join(json.dumps({"text": f"row {row}", "date": "2026-01-02"}) + "\n" for row in range(1000))
            (project / "many.jsonl").write_text(rows, encoding="utf-8")
    return folder
