"""What was seen against what was expected: a list of complaints, empty when all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .case import Expect, Fault, Step
from .observed import Observed


def complaints(step: Step, seen: Observed, folder: Path) -> list[str]:
    """Return all that is not as the step expects it."""
    return [*_results(step, seen), *_words(step.expect, seen, folder), *_ending(step.expect, seen)]


def _results(step: Step, seen: Observed) -> Iterator[str]:
    expect, lines = step.expect, seen.lines
    is_run = step.run is not None
    if expect.outputs is not None:
        outputs: Any = [line.outputs if line.status == "completed" else None for line in lines]
        yield from _unlike("outputs", expect.outputs, outputs if is_run or len(lines) != 1 else outputs[0])
    if expect.bypassed is not None:
        bypassed: Any = [line.bypassed for line in lines]
        found = bypassed if is_run else (bypassed[0] if bypassed else [])
        wanted = [sorted(row) for row in expect.bypassed] if is_run else sorted(expect.bypassed)
        yield from _unlike("bypassed", wanted, found)
    for name, value in expect.nodes.items():
        yield from _unlike(f"node {name}", value, lines[0].nodes.get(name) if lines else None)
    if expect.inputs is not None:
        yield from _unlike("inputs", expect.inputs, [line.inputs for line in lines])
    if expect.statuses is not None:
        yield from _unlike("statuses", expect.statuses, [line.status for line in lines])
    if expect.status is not None:
        yield from _unlike("status", expect.status, seen.status)
    for name, value in expect.counts.items():
        yield from _unlike(f"count {name}", value, seen.counts.get(name))
    if expect.metrics is not None:
        yield from _unlike("metrics", expect.metrics, seen.metrics)


def _words(expect: Expect, seen: Observed, folder: Path) -> Iterator[str]:
    notes = " | ".join(seen.notes)
    yield from (f"no note has '{text}': {notes}" for text in expect.notes if text not in notes)
    out, err = flat(seen.stdout), flat(seen.stderr)
    yield from (f"the output lacks '{text}': {out}" for text in expect.stdout if flat(text) not in out)
    yield from (f"the error output lacks '{text}': {err}" for text in expect.stderr if flat(text) not in err)
    yield from (f"'{text}' must not be shown: {out} {err}" for text in expect.absent if text in out + err)
    if expect.json is not None:
        try:
            yield from _lacking("json", expect.json, json.loads(seen.stdout))
        except ValueError:
            yield f"the output is no JSON: {out}"
    for name, texts in expect.files.items():
        held = (folder / name).read_text(encoding="utf-8") if (folder / name).is_file() else ""
        yield from (f"{name} lacks '{text}': {held}" for text in texts if text not in held)


def _ending(expect: Expect, seen: Observed) -> Iterator[str]:
    if expect.error is not None:
        yield from _fault(expect.error, seen)
    if expect.exit is not None:
        yield from _unlike("exit", expect.exit, seen.exit)
    elif expect.error is None and seen.exit != 0:
        yield f"it left with {seen.exit}: {seen.failure} {seen.stderr}"
    elif expect.error is not None and seen.exit == 0:
        yield "it left with 0"


def _fault(expect: Fault, seen: Observed) -> Iterator[str]:
    failure = seen.failure
    if failure is None:
        yield f"nothing failed: {seen.stdout} {seen.stderr}"
        return
    text = flat(f"{failure.message} {seen.stderr}")
    for part in (*expect.text, *([expect.where] if expect.where else [])):
        if flat(part) not in text:
            yield f"the error lacks '{part}': {text}"
    if expect.type is not None:
        yield from _unlike("error type", expect.type, failure.type)
    if expect.node is not None:
        yield from _unlike("error node", expect.node, failure.node)


def flat(text: str) -> str:
    """Return text on one line, so that wrapping does not matter."""
    return " ".join(text.split())


def _unlike(what: str, wanted: Any, found: Any) -> Iterator[str]:
    if not matches(wanted, found):
        yield f"{what}: expected {wanted!r}, got {found!r}"


def matches(wanted: Any, found: Any) -> bool:
    """Return whether a value is as expected; types count: 1 is not 1.0 and not true."""
    if isinstance(wanted, dict) and len(wanted) == 1 and next(iter(wanted)).startswith("$"):
        return _is_special(*next(iter(wanted.items())), found)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(matches(wanted[key], found[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(matches, wanted, found))
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    return wanted == found


def _is_special(mark: str, wanted: Any, found: Any) -> bool:
    if mark == "$any":
        return found is not None
    if mark == "$has":
        return isinstance(found, str) and wanted in found
    if mark == "$like":
        return isinstance(found, str) and re.search(wanted, found) is not None
    if mark == "$json":
        try:
            return isinstance(found, str) and matches(wanted, json.loads(found))
        except ValueError:
            return False
    raise ValueError(f"{mark} is no mark of an expected value")


def _lacking(what: str, wanted: Any, found: Any) -> Iterator[str]:
    """Say what is missing; lists are held in any order, mappings in part."""
    if isinstance(wanted, dict) and isinstance(found, dict) and not next(iter(wanted), "").startswith("$"):
        for key, value in wanted.items():
            if key in found:
                yield from _lacking(f"{what}.{key}", value, found[key])
            else:
                yield f"{what} has no '{key}': {sorted(found)}"
    elif isinstance(wanted, list) and isinstance(found, list):
        for item in wanted:
            if all(next(_lacking(what, item, other), None) for other in found):
                yield f"{what} has no {item!r}: {found!r}"
        if not wanted and found:
            yield f"{what} is not empty: {found!r}"
    else:
        yield from _unlike(what, wanted, found)
