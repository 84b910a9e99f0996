"""Pilothouse's gateway beside LiteLLM's proxy, Portkey's and MLflow's gateway, and two floors, in front of one mock.

    python -m benchmarks.gateway [--litellm-python P] [--portkey F] [--mlflow-python P] [--nginx B] [--full] [--json F]

Each gateway runs alone on one core, the mock and the load on another. `benchmarks/gateway/peers.py` tells how to make
the peers' environments; one that is not given is left out. The floors are a bare nginx, and the parts of Pilothouse,
uvicorn and pyreqwest, with nothing between them. Added latency is that of a single request at a time through the
gateway less that of the mock alone, in interleaved rounds. CPU is that of the process tree: on a busy machine it is
what counts. The run is refused where others use the machine, unless `--contended` is given; then it says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.gateway.mock.upstream import MockProcess

from .load import Spec
from .peers import MODELS, chosen, direct
from .processes import busy, cpu_seconds
from .report import render
from .scenarios import GATEWAY_CORE, LOAD_CORE, Measurement, Sizes, load, started

QUICK = Sizes(seconds=3.0, rounds=20, requests=25, most_streams=512, most_rate=2500)
FULL = Sizes(seconds=8.0, rounds=100, requests=50, most_streams=1024, most_rate=8000)
BUSY = 0.15
PATIENCE = 180.0


def main() -> None:
    arguments = parsed()
    if os.cpu_count() == 1:
        sys.exit("This needs two cores: one for the gateway, one for the mock and the load.")
    os.sched_setaffinity(0, {LOAD_CORE})
    used = busy([GATEWAY_CORE, LOAD_CORE])
    if used > BUSY and not arguments.contended:
        sys.exit(f"Others use {used:.0%} of the machine; figures would be theirs. To measure all the same: --contended")
    peers, missing = chosen(
        pilothouse_python=arguments.pilothouse_python, litellm_python=arguments.litellm_python,
        portkey_folder=arguments.portkey, mlflow_python=arguments.mlflow_python, nginx_binary=arguments.nginx,
    )  # fmt: skip
    sizes = FULL if arguments.full else QUICK
    found: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "busy": round(used, 2),
            "python": platform.python_version(),
        },
        "contended": used > BUSY,
        "sizes": sizes._asdict(),
        "left_out": missing,
        "gateways": {},
    }
    with (
        tempfile.TemporaryDirectory() as name,
        MockProcess("--sums-only", prefix=("taskset", "-c", str(LOAD_CORE))) as mock,
    ):
        found["mock"] = ceiling(mock, sizes)
        for peer, prepare in peers.items():
            if arguments.only and peer not in arguments.only.split(","):
                continue
            print(f"{peer} ...", file=sys.stderr, flush=True)
            try:
                # Started once before: a cold start is one of an installed program, not of one that is being compiled.
                with started(prepare, Path(name) / f"{peer}-first", mock.url, free_port(), PATIENCE):
                    pass
                with started(prepare, Path(name) / peer, mock.url, free_port(), PATIENCE) as running:
                    found["gateways"][peer] = Measurement(running, mock.url, sizes).all()
            except Exception as problem:  # noqa: BLE001  a peer that does not run must not take the others' figures away
                found["gateways"][peer] = {"error": f"{type(problem).__name__}: {problem}"}
    beside = [figures.get("others_on_its_core", 0.0) for figures in found["gateways"].values()]
    found["contended"] |= max(beside, default=0.0) > BUSY
    found["machine"]["load_after"] = os.getloadavg()
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    print(render(found))


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilothouse-python", help="this one by default")
    parser.add_argument("--litellm-python")
    parser.add_argument("--portkey", help="the folder it was installed into")
    parser.add_argument("--mlflow-python")
    parser.add_argument("--nginx", help="such as /usr/sbin/nginx")
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--full", action="store_true", help="longer, and further up: about 15 minutes a gateway")
    parser.add_argument("--contended", action="store_true", help="measure although others use the machine")
    parser.add_argument("--json", type=Path, help="where all figures are written")
    return parser.parse_args()


def ceiling(mock: MockProcess, sizes: Sizes) -> dict[str, Any]:
    """Return what the mock and the load can do alone, together on their core: a gateway cannot be seen to do more."""
    port = int(mock.url.rpartition(":")[2])
    used = cpu_seconds(mock.pid)
    closed = load(Spec(mode="closed", targets=[direct(port, "whole")], connections=64, seconds=sizes.seconds))
    mock_us = (cpu_seconds(mock.pid) - used) / max(closed["ok"], 1) * 1e6
    spec = Spec(mode="streams", targets=[direct(port, "paced", stream=True)], connections=200, tokens=64, pace=0.02)
    used = cpu_seconds(mock.pid)
    streams = load(spec)
    return {
        "rate": closed["rate"],
        "cpu_us_per_request": round(mock_us, 1),
        "load_cpu_us_per_request": round(closed["load_cpu_seconds"] / max(closed["ok"], 1) * 1e6, 1),
        "cpu_us_per_frame": round((cpu_seconds(mock.pid) - used) / max(streams["frames"], 1) * 1e6, 1),
        "load_cpu_us_per_frame": round(streams["load_cpu_seconds"] / max(streams["frames"], 1) * 1e6, 1),
        "clean_of_200_streams": streams["clean"],
        "first_ms": streams["first_ms"],
        "models": MODELS,
    }


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
