"""Runs cases by prompt flow itself: `PROMPTFLOW_PYTHON promptflow_driver.py PLAN RESULTS`.

Uses prompt flow's own API. The interpreter needs promptflow and promptflow-tools, nothing of Pilothouse. PLAN is JSON:
a list of `{"id", "digest", "folder", "flow", "environment", "steps"}` with the steps as the case files have them; the
project's connections lie in its folder as `.connections.json`. RESULTS gets one
line of JSON for each case: what was seen of each step.

Every case has a process of its own, forked from one that has imported prompt flow.
"""

import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 240
PROJECT = "CONFORMANCE_PROJECT"
CONNECTIONS = ".connections.json"


def project_connections():
    """Return the connections of the project in whose folder a process works, by name."""
    from promptflow._sdk._load_functions import load_connection

    found = {}
    for data in json.loads(Path(os.environ[PROJECT], CONNECTIONS).read_text()):
        with tempfile.TemporaryDirectory() as folder:
            # JSON is YAML.
            Path(folder, "c.yaml").write_text(json.dumps(data))
            found[data["name"]] = load_connection(Path(folder, "c.yaml"))
    return found


def use_files_for_connections():
    """Let prompt flow take connections from files: its own store needs a key ring, which a server has not."""
    from promptflow._sdk._errors import ConnectionNotFoundError
    from promptflow._sdk.operations._connection_operations import ConnectionOperations

    def get(self, name, **kwargs):
        found = project_connections()
        if name not in found:
            if not kwargs.get("raise_error", True):
                return None
            raise ConnectionNotFoundError(f"Connection {name!r} is not found.")
        return found[name]

    ConnectionOperations.get = ConnectionOperations._get = get
    ConnectionOperations.list = lambda self, **kwargs: list(project_connections().values())


def failure(error):
    """Return an exception as data."""
    return {"type": type(error).__name__, "message": str(error), "node": None}


def reported(data):
    """Return an error that a record holds."""
    if not data:
        return None
    inner = data.get("innerError") or {}
    code = inner.get("code") or data.get("code")
    node = (data.get("messageParameters") or {}).get("node_name")
    text = str(data.get("message"))
    match = re.search(r"Execution failure in '([^']+)'", text)
    kind = next((info.get("info", {}).get("type") for info in data.get("additionalInfo") or []), None)
    return {"type": kind or code, "message": text, "node": node or (match[1] if match else None)}


def plain(value):
    """Return a value as JSON can hold it."""
    return json.loads(json.dumps(value, default=repr))


def named(output):
    """Return the outputs of a Python flow as its runs record them."""
    return output if isinstance(output, dict) else {"output": output}


def statuses(infos):
    """Return the nodes that were bypassed and what the others gave."""
    bypassed = sorted(name for name, info in infos.items() if info.status.value == "Bypassed")
    return bypassed, {name: plain(info.output) for name, info in infos.items() if info.status.value == "Completed"}


def test(client, folder, flow, given):
    """Do a `test` step."""
    inputs = given.get("inputs")
    if given.get("file"):
        text = Path(folder, given["file"]).read_text()
        inputs = json.loads(text.splitlines()[0] if given["file"].endswith(".jsonl") else text)
    inputs = {**(inputs or {}), **given.get("pairs", {})} if inputs is not None or given.get("pairs") else None
    found = client.flows._test(
        flow=str(Path(folder, given.get("flow") or flow)), inputs=inputs, variant=given.get("variant"),
        node=given.get("node"), stream_log=False, stream_output=False, allow_generator_output=False,
        init=given.get("init") or None,
    )  # fmt: skip
    if given.get("node"):
        line = {"status": found.status.value.lower(), "outputs": plain(found.output), "error": reported(found.error)}
        return {"lines": [line]}
    bypassed, nodes = statuses(found.node_run_infos)
    is_well = found.run_info.status.value == "Completed"
    # A failed aggregation node does not fail a test there; it is told where ours tells it.
    fault = next(
        (reported(info.error) for info in found.node_run_infos.values() if info.status.value == "Failed"), None
    )
    line = {
        "status": "completed" if is_well else "failed",
        "outputs": named(plain(found.output)) if is_well else {},
        "bypassed": bypassed,
        "nodes": nodes,
        "error": reported(found.run_info.error) if not is_well else None,
    }
    return {"lines": [line], "metrics": plain(found.run_info.metrics or {}), "error": fault if is_well else None}


def run(client, folder, flow, given, names, number):
    """Do a `run` step."""
    if given.get("resume"):
        made = client.run(flow=None, resume_from=names[given["resume"]])
        names[given["resume"]] = made.name
    elif given.get("file"):
        from promptflow._sdk._load_functions import load_run

        made = client.runs.create_or_update(run=load_run(source=str(Path(folder, given["file"]))))
    else:
        init = None
        connections = {}
        for key, value in given.get("connections", {}).items():
            node, _, field = key.partition(".")
            connections.setdefault(node, {})[field] = value
        init = connections.pop("init", None)
        made = client.run(
            flow=str(Path(folder, given.get("flow") or flow)),
            data=str(Path(folder, given["data"])) if given.get("data") else None,
            run=names[given["run"]] if given.get("run") else None,
            column_mapping=given.get("column_mapping") or None,
            variant=given.get("variant"),
            connections=connections or None,
            init=init,
        )
    names[given.get("name") or given.get("resume") or f"step{number}"] = made.name
    return record(client, made)


def record(client, made):
    """Return what a run's folder holds."""
    folder = Path(made.properties["output_path"])
    lines, aggregation = {}, None
    for path in sorted(folder.glob("flow_artifacts/*.jsonl")):
        for text in path.read_text().splitlines():
            data = json.loads(text)
            info = data["run_info"]
            is_well = info["status"] == "Completed"
            lines[data["line_number"]] = {
                "status": "completed" if is_well else "failed",
                "inputs": {key: value for key, value in (info["inputs"] or {}).items() if key != "line_number"},
                "outputs": info["output"] if is_well else {},
                "bypassed": [],
                "error": None if is_well else reported(info["error"]),
            }
    for path in sorted(folder.glob("node_artifacts/*/*.jsonl")):
        for text in path.read_text().splitlines():
            data = json.loads(text)
            info, number = data["run_info"], data["line_number"]
            if info["status"] == "Bypassed" and number in lines:
                lines[number]["bypassed"].append(path.parent.name)
            if info["status"] == "Failed" and number not in lines:
                aggregation = {**(reported(info["error"]) or {}), "node": path.parent.name}
    for line in lines.values():
        line["bypassed"].sort()
    metrics = client.get_metrics(made) or {} if made.status == "Completed" else {}
    error = None
    if made.status == "Failed":
        told = Path(folder, "error.json")
        error = reported(json.loads(told.read_text())) if told.is_file() else {"type": None, "message": "Failed"}
    return {
        "lines": [lines[number] for number in sorted(lines)],
        "metrics": plain(metrics),
        "status": made.status.lower(),
        "error": error or aggregation,
    }


def do(client, case):
    """Do all steps of a case; a step that cannot be compared may still be needed by the next."""
    names, seen, before = {}, [], dict(os.environ)
    for number, step in enumerate(case["steps"], 1):
        for name, text in step.get("write", {}).items():
            target = Path(case["folder"], name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        os.environ.clear()
        os.environ.update({**before, **step.get("environment", {})})
        began = time.monotonic()
        try:
            if step.get("test") is not None:
                result = test(client, case["folder"], case["flow"], step["test"])
            elif step.get("run") is not None:
                result = run(client, case["folder"], case["flow"], step["run"], names, number)
            else:
                result = None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is what was seen
            result = {"lines": [], "error": failure(error)}
        if result is not None:
            result["seconds"] = round(time.monotonic() - began, 2)
        seen.append(result)
    return seen


def renew_locks():
    """Make the locks of this process anew: they refuse to be used after a fork."""
    from filelock import BaseFileLock, FileLock

    for module in [module for name, module in sys.modules.items() if name.startswith("promptflow")]:
        for name, value in list(vars(module).items()):
            if isinstance(value, BaseFileLock):
                setattr(module, name, FileLock(value.lock_file))


def in_own_process(case, results):
    """Do a case in a forked process and add its line to the results."""
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.alarm(SECONDS)
        os.environ.update({**case["environment"], PROJECT: case["folder"]})
        os.chdir(case["folder"])
        log = os.open(str(Path(case["folder"], ".promptflow.log")), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            from promptflow.client import PFClient

            renew_locks()
            seen = do(PFClient(config={"trace.destination": "none"}), case)
            with Path(results).open("a") as file:
                file.write(json.dumps({"id": case["id"], "digest": case["digest"], "steps": seen}) + "\n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    # Its batch engine may leave processes behind.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def main(plan, results):
    """Do all cases of a plan."""
    import promptflow._sdk._orchestrator.test_submitter  # noqa: F401 - imported once, before any fork

    cases = json.loads(Path(plan).read_text())
    for number, case in enumerate(cases, 1):
        print(f"{number}/{len(cases)} {case['id']}", file=sys.stderr, flush=True)
        in_own_process(case, results)


if __name__ == "__main__":
    use_files_for_connections()
    main(*sys.argv[1:])
elif __name__ == "__mp_main__" and PROJECT in os.environ:
    # Processes of its batch engine begin with this file.
    with contextlib.suppress(Exception):
        use_files_for_connections()
