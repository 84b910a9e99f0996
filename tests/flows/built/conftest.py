"""A project with all that a build has to deal with, and a way to call `pilothouse flow` in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pilothouse.flows.commands.commands import flow

from ..building import write

SECRET = "sk-a-secret-that-nobody-may-see"

FLOW = """\
# The team that answers.
additional_includes:
- ../shared/words.py   # counts
- ../shared/lists

inputs:
  question: {type: string, default: "Where is my parcel? It's late"}
outputs:
  team: {type: string, reference: "${route.output}"}
environment:
  python_requirements_txt: needs.txt
environment_variables:
  REGION: north
nodes:
- name: ask
  use_variants: true
- name: route
  type: python
  source: {type: code, path: route.py}
  inputs: {answer: "${ask.output}", shop: shop}
node_variants:
  ask:
    default_variant_id: polite   # the one in production
    variants:
      polite:
        node:
          type: llm
          source: {type: code, path: polite.jinja2}
          connection: model
          inputs: {model: m, question: "${inputs.question}"}
      short:
        node:
          type: llm
          source: {type: code, path: short.jinja2}
          connection: model
          inputs: {model: m, question: "${inputs.question}"}
"""

FILES = {
    "pilothouse.yaml": "flows: {line_timeout: 30}\nmodels: {connections: connections, retries: {attempts: 2}}\n"
    "storage: {}\n",
    "connections/model.yaml": "name: model\ntype: scripted\nscript: scripts/answers.yaml\n",
    "connections/shop.yaml": "name: shop\ntype: custom\nconfigs: {region: north}\nsecrets: {token: '${env:SHOP_TOKEN}'}\n",
    "connections/other.yaml": "name: other\ntype: open_ai\napi_key: ${env:OTHER_KEY}\n",
    "scripts/answers.yaml": "- when: shortly\n  reply: short\n- reply: polite\n",
    ".env": f"SHOP_TOKEN={SECRET}\n",
    "flows/shared/words.py": "def words(text):\n    return len(text.split())\n",
    "flows/shared/lists/teams.txt": "a\nb\n",
    "flows/support/flow.dag.yaml": FLOW,
    "flows/support/route.py": """\
        import os

        from promptflow.core import tool
        from promptflow.connections import CustomConnection
        from words import words


        @tool
        def route(answer: str, shop: CustomConnection) -> str:
            with open("lists/teams.txt") as teams:
                count = len(teams.read().split())
            assert shop.secrets["token"]
            return f"{answer} {words(answer)} {count} {os.environ['REGION']} {os.getenv('DESK', 'none')}"
        """,
    "flows/support/polite.jinja2": "user:\nKindly: {{question}}\n",
    "flows/support/short.jinja2": "user:\nshortly: {{question}}\n",
    "flows/support/needs.txt": "click>=8\npromptflow\npromptflow-tools==1.6.1\n",
    "flows/support/.env": f"X={SECRET}\n",
    "flows/support/.promptflow/flow.tools.json": "{}\n",
    "flows/support/__pycache__/route.cpython-311.pyc": "x\n",
    "flows/support/server.pem": f"{SECRET}\n",
    "flows/support/azure.yaml": f"name: azure\ntype: azure_open_ai\napi_base: http://x\napi_key: {SECRET}\n",
}

Invoke = Callable[..., Result]


@pytest.fixture
def project(services: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    root: Path = services.root
    write(root, FILES)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def invoke(services: Any, project: Path) -> Invoke:
    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(flow, arguments, obj=services)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call
