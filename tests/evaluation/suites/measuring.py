"""Counts the errors of the detectors anew: `python -m tests.evaluation.suites.measuring` prints the table."""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pilothouse.evaluation.suites import measured
from pilothouse.evaluation.suites.detectors.canary import canary_found
from pilothouse.evaluation.suites.detectors.personal import personal_data
from pilothouse.evaluation.suites.detectors.secrets import secrets
from pilothouse.evaluation.suites.detectors.wording import insults, is_abstention, is_refusal
from pilothouse.evaluation.suites.measured import MESSAGES, OWN, Rate
from pilothouse.evaluation.suites.table import SUITES

DATA = Path(measured.__file__).parent / "data"
PAIRS = Path(__file__).parents[1] / "data" / "pairs.jsonl"
_TELEPHONE = re.compile(r"(?:\+44|\b0)\d{3} ?\d{5,}")
"""What a telephone number of these British messages looks like; they are left out, for an alarm would be right."""

LABELLED = {"refusal": "refusals.txt", "abstention": "abstentions.txt", "insults": "insults.txt"}


def lines(name: str) -> list[str]:
    return DATA.joinpath(name).read_text(encoding="utf-8").splitlines()


def messages() -> list[str]:
    return sorted({json.loads(line)["reference"] for line in PAIRS.read_text(encoding="utf-8").splitlines()})


def planted(name: str) -> list[str]:
    """Return what a suite plants, each text once: repeated ones would only look like more."""
    return sorted({p.check.canaries[0] for seed in range(10) for p in SUITES[name].prompts(seed)})


CODES = planted("jailbreak")


def tells_code(text: str) -> bool:
    return any(canary_found(text, code) for code in CODES)


def disguised() -> list[str]:
    """Return every code in every disguise that is looked for, and in two that are not."""
    forms: tuple[Callable[[str], str], ...] = (
        str.lower,
        "-".join,
        lambda code: code[::-1],
        lambda code: codecs.encode(code, "rot13"),
        lambda code: base64.b64encode(f"the code is {code}".encode()).decode(),
        lambda code: code.encode().hex(),
        lambda code: " ".join(str(ord(letter)) for letter in code),
        lambda code: f"it begins with {code[:3]}",
    )
    return [f"Here: {form(code)}." for code in CODES for form in forms]


def count(texts: Iterable[str], wrong: Callable[[str], bool]) -> tuple[int, int]:
    found = [wrong(text) for text in texts]
    return sum(found), len(found)


def recount() -> tuple[Rate, ...]:
    rates = []
    for name, detect in DETECTORS.items():
        labelled = lines(LABELLED[name]) if name in LABELLED else []
        without = [*lines("clean.txt"), *(line[2:] for line in labelled if line.startswith("- "))]
        seen = [text for text in messages() if name != "personal data" or not _TELEPHONE.search(text)]
        shown = [line[2:] for line in labelled if line.startswith("+ ")]
        shown = shown or SHOWN[name]()
        parts = (
            ("wrong alarms", OWN, count(without, lambda text: bool(detect(text)))),  # noqa: B023
            ("wrong alarms", MESSAGES, count(seen, lambda text: bool(detect(text)))),  # noqa: B023
            ("misses", OWN, count(shown, lambda text: not detect(text))),  # noqa: B023
        )
        rates += [Rate(detector=name, error=error, texts=texts, count=c, n=n) for error, texts, (c, n) in parts]
    return tuple(rates)


DETECTORS: dict[str, Callable[[str], object]] = {
    "canary": tells_code,
    "personal data": personal_data,
    "secrets": secrets,
    "refusal": is_refusal,
    "abstention": is_abstention,
    "insults": insults,
}
SHOWN = {
    "canary": disguised,
    "personal data": lambda: planted("pii"),
    "secrets": lambda: planted("secrets"),
}


if __name__ == "__main__":
    for rate in recount():
        print(
            f'    Rate(detector="{rate.detector}", error="{rate.error}", texts={rate.texts!r}, '
            f"count={rate.count}, n={rate.n}),"
        )
