"""Precision and recall of the rules of `safety` on generated texts; how long they take.

    pip install faker presidio-evaluator        (the texts' templates; neither is used elsewhere)
    python benchmarks/redaction.py

All texts are generated: templates of presidio-evaluator and 12 of our own, filled by Faker in ten locales; keys are
drawn by the vendors' formats. Real texts are harder. A finding is right when it is of the planted kind and overlaps the
planted place; the part of it that must not leave is counted apart: characters of planted values that stay.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import math
import random
import re
import string
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from faker import Faker

from pilothouse.safety.checks import luhn
from pilothouse.safety.detection import find

LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_BR", "sv_SE")
KINDS = {
    "credit_card_number": "card", "email": "email", "iban": "iban", "phone_number": "phone", "ssn": "us_ssn",
    "us_ssn": "us_ssn", "ip_address": "ip", "date_of_birth": "birth_date",
}  # fmt: skip
OWN = (
    "You can reach me at {{phone_number}} after six.",
    "My number is {{phone_number}}.", "Please charge {{credit_card_number}}.",
    "Kontakt: {{email}}, Tel. {{phone_number}}", "IBAN {{iban}}, thanks", "Wire it to {{iban}} please.",
    "She was born on {{date_of_birth}}.",
    "DOB: {{date_of_birth}}", "SSN {{ssn}} on file", "The host {{ip_address}} is down.",
    "Invoice to {{email}} ({{phone_number}})", "card={{credit_card_number}}&mail={{email}}",
)  # fmt: skip
ALNUM = string.ascii_letters + string.digits


def keys(draw: random.Random) -> dict[str, tuple[str, Callable[[], str]]]:
    """Return makers of secrets by name, with their kind."""

    def some(letters: str, count: int) -> str:
        return "".join(draw.choices(letters, k=count))

    def jwt() -> str:
        parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": some(ALNUM, 12), "iat": draw.randrange(10**9)})
        packed = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join([*packed, some(ALNUM + "-_", 43)])

    return {
        "AWS": ("aws_key", lambda: "AKIA" + some(string.ascii_uppercase + "234567", 16)),
        "OpenAI project": ("openai_key", lambda: "sk-proj-" + some(ALNUM + "-_", 124)),
        "OpenAI old": ("openai_key", lambda: "sk-" + some(ALNUM, 48)),
        "Anthropic": ("anthropic_key", lambda: "sk-ant-api03-" + some(ALNUM + "-_", 93) + "AA"),
        "Google": ("gcp_key", lambda: "AIza" + some(ALNUM + "-_", 35)),
        "GitHub": ("github_token", lambda: "ghp_" + some(ALNUM, 36)),
        "Slack": ("slack_token", lambda: f"xoxb-{some(string.digits, 12)}-{some(string.digits, 12)}-{some(ALNUM, 24)}"),
        "Stripe": ("stripe_key", lambda: "sk_live_" + some(ALNUM, 24)),
        "Hugging Face": ("api_key", lambda: "hf_" + some(string.ascii_letters + string.digits, 34)),
        "JWT": ("jwt", jwt),
        "Azure 84": ("azure_key", lambda: some(ALNUM, 52) + "JQQJ99" + some(ALNUM, 26)),
        "Azure hex": ("azure_key", lambda: "azure api-key: " + some("0123456789abcdef", 32)),
        "private key": (
            "private_key",
            lambda: f"-----BEGIN PRIVATE KEY-----\n{some(ALNUM, 64)}\n-----END PRIVATE KEY-----",
        ),
        "password =": ("password", lambda: f'password = "{some(ALNUM + "!#%&", 12)}1"'),
        "password in prose": ("password", lambda: f"my password is {some(ALNUM, 10)}7"),
        "database URL": ("connection_string", lambda: f"postgres://app:{some(ALNUM, 16)}@db.internal:5432/x"),
    }


def harmless(draw: random.Random, fake: Faker) -> Iterator[str]:
    """Make lines that look like something and are nothing."""
    hexa = "".join(draw.choices("0123456789abcdef", k=64))
    digits = "".join(draw.choices(string.digits, k=16))
    while luhn(digits):
        digits = "".join(draw.choices(string.digits, k=16))
    yield f"trace id {hexa[:32]} span {hexa[32:48]}"
    yield f"commit {hexa[:40]} fixes the token parser"
    yield f"sha256:{hexa} pulled"
    yield f"id {fake.uuid4()} at {fake.iso8601()}"
    yield f"order {digits} shipped, invoice {digits[:8]}"
    yield f"took {draw.random():.9f} s at {draw.randrange(10**12, 2 * 10**12)} ms"
    yield f"version {draw.randrange(9)}.{draw.randrange(30)}.{draw.randrange(30)}.{draw.randrange(30)} of the api"
    yield f"ISBN 978-{draw.randrange(10)}-{digits[:6]}-{digits[6:8]}-{digits[8]} page {digits[9:11]}"
    yield "How do I reset my password? The token limit is 4096 tokens; max_tokens=1024."
    yield f"meeting on {fake.date()} from 10:30 to 11:45, room 4.{draw.randrange(90)}"
    yield f"revenue rose from 1 {digits[:3]} {digits[3:6]} to 2,{digits[6:9]},{digits[9:12]} euros"
    yield "password: required, secret: none, token = get_token(user)"
    yield "sk-learn-contrib-imbalanced and task-management-and-planning-board"
    yield fake.text(300).replace("\n", " ")


def wilson(right: int, total: int) -> str:
    """Return a share in % with its 95 % interval."""
    if not total:
        return "-"
    z, p = 1.959964, right / total
    centre, scale = p + z * z / (2 * total), 1 + z * z / total
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return (
        f"{100 * p:.1f} ({100 * max(0.0, (centre - half) / scale):.1f}–{100 * min(1.0, (centre + half) / scale):.1f})"
    )


def templates() -> list[str]:
    spec = importlib.util.find_spec("presidio_evaluator")
    if spec is None or spec.origin is None:
        sys.exit("presidio-evaluator is not installed")
    path = Path(spec.origin).parent / "data_generator" / "raw_data" / "templates.txt"
    return [*path.read_text(encoding="utf-8").splitlines(), *OWN]


def filled(template: str, fake: Faker, american: Faker) -> tuple[str, list[tuple[str, int, int]]]:
    """Fill a template; return the text and what was planted where."""
    text, planted, last = "", [], 0
    for match in re.finditer(r"\{\{(\w+)\}\}", template):
        name = match[1]
        if name in {"ssn", "us_ssn"}:
            value = american.ssn()
        elif name == "ip_address":
            value = fake.ipv4_public()
        elif name == "credit_card_number":
            value = fake.credit_card_number("visa16" if fake.boolean() else "mastercard")
            value = " ".join(re.findall("....", value)) if fake.boolean() else value
        elif name == "date_of_birth":
            value = fake.date_of_birth().strftime(fake.random_element(("%d/%m/%Y", "%Y-%m-%d", "%B %d, %Y")))
        elif hasattr(fake, name):
            value = str(getattr(fake, name)())
        else:
            value = fake.last_name()
        text += template[last : match.start()]
        if name in KINDS:
            planted.append((KINDS[name], len(text), len(text) + len(value)))
        text += value
        last = match.end()
    return text + template[last:], planted


def main() -> None:
    draw = random.Random(7)
    Faker.seed(7)
    planted, found_right, wrong, left = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    examples: list[str] = []
    characters, texts, seconds = 0, 0, 0.0
    american = Faker("en_US")
    for locale in LOCALES:
        fake = Faker(locale)
        for template in templates():
            text, spans = filled(template, fake, american)
            begun = time.process_time()
            found = find(text)
            seconds += time.process_time() - begun
            characters, texts = characters + len(text), texts + 1
            for kind, start, end in spans:
                planted[kind] += 1
                hit = any(item.kind == kind and item.start < end and item.end > start for item in found)
                found_right[kind] += hit
                left[kind] += not all(any(item.start <= at < item.end for item in found) for at in range(start, end))
                if not hit:
                    examples.append(f"missed {kind}: {text[max(0, start - 20) : end + 10]!r}")
            for item in found:
                if not any(item.start < end and item.end > start for _, start, end in spans):
                    wrong[item.kind] += 1
                    examples.append(f"wrong {item.kind}: {text[max(0, item.start - 20) : item.end + 10]!r}")
    print(f"{texts} texts, {characters} characters, {len(LOCALES)} locales: {seconds / characters * 1e9:.0f} us/kB")
    for kind in sorted(planted):
        right, bad = found_right[kind], wrong[kind]
        recall, precision = wilson(right, planted[kind]), wilson(right, right + bad)
        print(f"| {kind} | {planted[kind]} | {recall} | {precision} | {left[kind]} |")
    print("wrong findings of other kinds:", {kind: count for kind, count in wrong.items() if kind not in planted})
    for name, (kind, make) in keys(draw).items():
        right = sum(any(item.kind == kind for item in find(f"use this: {make()} and go on")) for _ in range(200))
        print(f"| {name} | 200 | {wilson(right, 200)} |")
    flagged, lines = Counter[str](), 0
    fake = Faker("en_US")
    for _ in range(200):
        for line in harmless(draw, fake):
            lines += 1
            flagged.update(item.kind for item in find(line)[:1])
            examples += [f"harmless {item.kind}: {line!r}" for item in find(line)]
    print(f"{lines} harmless lines, flagged {wilson(sum(flagged.values()), lines)} % {dict(flagged)}")
    if "--show" in sys.argv:
        print("\n".join(examples[:: max(1, len(examples) // 60)]))


if __name__ == "__main__":
    main()
