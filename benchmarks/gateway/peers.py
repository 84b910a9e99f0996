"""How each gateway is started in front of the mock, and how it is asked. All of what is known about a peer stands here.

Each peer lives in an environment of its own:

    python3.11 -m venv litellm && litellm/bin/pip install 'litellm[proxy]'    --litellm-python litellm/bin/python
    python3.11 -m venv mlflow && mlflow/bin/pip install 'mlflow[genai]'       --mlflow-python mlflow/bin/python
    mkdir portkey && echo '{"overrides": {"@hono/node-server": "1.13.8"}}' > portkey/package.json
    npm install --prefix portkey @portkey-ai/gateway                          --portkey portkey
    apt-get install nginx-light                                               --nginx /usr/sbin/nginx

Portkey 1.15 answers streams with 500 where a newer `@hono/node-server` is installed; hence the pin.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from .load import Target

ROOT = Path(__file__).parents[2]
MODELS = {
    "whole": "mock-tokens=8",
    "waiting": "mock-tokens=8-first=20",
    "paced": "mock-tokens=64-pace=20",
    "long": "mock-tokens=150-pace=20",
}
"""What the benchmark asks for: a route's name, and what the mock is told."""
PROMPT = "Tell me about the pilot house of a tug boat. " * 20  # 900 bytes: the body is about 1 kB
SECRET = "sk-upstream"


class Launch(NamedTuple):
    """A gateway that can be started.

    Attributes:
        command: What starts it.
        path: Where chats go.
        headers: What a client sends along.
        routes: Whether it is asked by the route's name; otherwise by the mock's.
        environment: What is added to the environment of its process.
        on: What it does beside handing on, in words.
    """

    command: list[str]
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = MappingProxyType({})
    routes: bool = True
    environment: Mapping[str, str] = MappingProxyType({})
    on: str = ""

    def target(self, name: str, port: int, model: str, *, stream: bool = False) -> Target:
        """Return how one of `MODELS` is asked for."""
        return target(name, port, model if self.routes else MODELS[model], self.path, self.headers, stream=stream)


Prepare = Callable[[Path, str, int], Launch]
"""Writes what a peer needs into a folder, given the mock's address and the port it shall listen on."""


def target(
    name: str, port: int, model: str, path: str, headers: Mapping[str, str] | None = None, *, stream: bool = False
) -> Target:
    """Return a chat request for a model."""
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 256}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return Target(
        name=name, port=port, path=path, headers=dict(headers or {}), body=json.dumps(body, separators=(",", ":"))
    )


def direct(mock_port: int, model: str, *, stream: bool = False) -> Target:
    """Return a request that goes to the mock itself."""
    return target("direct", mock_port, MODELS[model], "/v1/chat/completions", stream=stream)


def pilothouse(python: str) -> Prepare:
    """Everything on: keys, limits of requests, tokens and money, ledger, spans, metrics."""

    def prepare(folder: Path, mock: str, port: int) -> Launch:
        write_project(folder, mock, port)
        pilothouse = str(Path(python).parent / "pilothouse")
        said = subprocess.run(
            [pilothouse, "gateway", "key", "create", "bench", "--json"],
            cwd=folder, check=True, capture_output=True, text=True,
        )  # fmt: skip
        key = json.loads(said.stdout)["secret"]
        return Launch(
            [pilothouse, "gateway", "serve", "--port", str(port)],
            headers={"authorization": f"Bearer {key}"},
            on="keys, limits (requests, tokens, money), ledger, spans, metrics",
        )

    return prepare


def write_project(folder: Path, mock: str, port: int) -> None:
    """Write a project whose gateway has all of `MODELS` as routes."""
    routes = "".join(
        f"    {name}:\n      deployments: [{{connection: mock, model: {model}}}]\n" for name, model in MODELS.items()
    )
    prices = "".join(f"    - {{model: {model}, input: 1.0, output: 4.0}}\n" for model in MODELS.values())
    (folder / "pilothouse.yaml").write_text(
        f"gateway:\n  port: {port}\n  access: keys\n  routes:\n{routes}"
        "  limits:\n"
        "    - {name: calls, each: key, requests: 100000000, per: minute}\n"
        "    - {name: tokens, each: key, tokens: 100000000000, per: minute}\n"
        "    - {name: money, each: key, dollars: 1000000, per: month}\n"
        "    - {name: at-once, each: key, concurrency: 100000}\n"
        f"models:\n  prices:\n{prices}"
    )
    (folder / "connections").mkdir()
    (folder / "connections" / "mock.yaml").write_text(
        f"type: open_ai\nbase_url: {mock}/v1\napi_key: ${{env:MOCK_KEY}}\n"
    )
    (folder / ".env").write_text(f"MOCK_KEY={SECRET}\n")


def bare(python: str) -> Prepare:
    """The parts of Pilothouse, uvicorn and pyreqwest, with nothing between them."""

    def prepare(folder: Path, mock: str, port: int) -> Launch:
        command = [python, "-m", "benchmarks.gateway.bare", str(port), mock]
        return Launch(command, routes=False, environment={"PYTHONPATH": str(ROOT)}, on="nothing")

    return prepare


def litellm(python: str) -> Prepare:
    """Its proxy with a master key, without a database: no spend log, budgets or virtual keys."""

    def prepare(folder: Path, mock: str, port: int) -> Launch:
        models = [
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{model}", "api_base": f"{mock}/v1", "api_key": SECRET},
            }
            for name, model in MODELS.items()
        ]
        config = {"model_list": models, "general_settings": {"master_key": "sk-bench"}}
        (folder / "config.yaml").write_text(json.dumps(config))
        command = [str(Path(python).parent / "litellm"), "--config", str(folder / "config.yaml")]
        return Launch(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"],
            headers={"authorization": "Bearer sk-bench"},
            # Its price list comes from the net otherwise.
            environment={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
            on="master key; no database",
        )

    return prepare


def portkey(folder_of_it: str) -> Prepare:
    """Its open gateway: nothing on, it keeps nothing."""

    def prepare(folder: Path, mock: str, port: int) -> Launch:
        start = Path(folder_of_it) / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
        return Launch(
            ["node", str(start), f"--port={port}", "--headless"],
            headers={
                "authorization": f"Bearer {SECRET}",
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": f"{mock}/v1",
            },
            routes=False,
            # It refuses addresses of this machine unless they are named.
            environment={"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"},
            on="nothing",
        )

    return prepare


def mlflow(python: str) -> Prepare:
    """Its gateway by a file: nothing on."""

    def prepare(folder: Path, mock: str, port: int) -> Launch:
        endpoints = [
            {
                "name": name,
                "endpoint_type": "llm/v1/chat",
                "model": {
                    "provider": "openai",
                    "name": model,
                    "config": {"openai_api_key": SECRET, "openai_api_base": f"{mock}/v1"},
                },
            }
            for name, model in MODELS.items()
        ]
        (folder / "config.yaml").write_text(json.dumps({"endpoints": endpoints}))
        command = [
            str(Path(python).parent / "mlflow"),
            "gateway",
            "start",
            "--config-path",
            str(folder / "config.yaml"),
        ]
        return Launch(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
            environment={
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "true",
                "PATH": f"{Path(python).parent}:/usr/bin:/bin",
            },
            on="nothing",
        )

    return prepare


NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000;
  upstream mock {{ server {address}; keepalive 4096; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 600s;
    }}
  }}
}}
"""


def nginx(binary: str) -> Prepare:
    """A bare reverse proxy: the physical floor."""

    def prepare(folder: Path, mock: str, port: int) -> Launch:
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, address=mock.removeprefix("http://"), port=port))
        return Launch(
            [binary, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)], routes=False, on="nothing"
        )

    return prepare


def chosen(
    *, pilothouse_python: str | None, litellm_python: str | None, portkey_folder: str | None, mlflow_python: str | None,
    nginx_binary: str | None,
) -> tuple[dict[str, Prepare], list[str]]:  # fmt: skip
    """Return the peers that are there, the floors first, and a sentence about each that is not."""
    wanted = {
        "nginx": (nginx, nginx_binary, "--nginx"),
        "bare parts": (bare, pilothouse_python or sys.executable, "--pilothouse-python"),
        "pilothouse": (pilothouse, pilothouse_python or sys.executable, "--pilothouse-python"),
        "litellm": (litellm, litellm_python, "--litellm-python"),
        "portkey": (portkey, portkey_folder, "--portkey"),
        "mlflow": (mlflow, mlflow_python, "--mlflow-python"),
    }
    found: dict[str, Prepare] = {}
    missing = []
    for name, (make, where, option) in wanted.items():
        if where and Path(where).exists():
            found[name] = make(where)
        else:
            missing.append(f"{name} is left out: {f'{where} does not exist' if where else f'{option} was not given'}.")
    return found, missing
