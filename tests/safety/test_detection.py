"""What the rules find and leave alone, evasions, and that a text's length counts once."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pilothouse.core.errors import DataError
from pilothouse.safety.checks import is_card, is_iban, luhn
from pilothouse.safety.detection import find, redact
from pilothouse.safety.types import KINDS

FOUND = {
    "mail joe.bloggs@example.co.uk now": "mail [EMAIL] now",
    "card=4111111111111111&mail=joe@example.org": "card=[CARD]&mail=[EMAIL]",
    "joe%40example.com": "[EMAIL]",
    "call +49 30 1234567 or (415) 555-2671 ext 12.": "call [PHONE] or [PHONE].",
    "Tel. 030 1234567, fax 0631 55 44 33": "Tel. [PHONE], fax [PHONE]",
    "4111 1111 1111 1111 and 3782-822463-10005": "[CARD] and [CARD]",
    "id 42 4111 1111 1111 1111 7": "id 42 [CARD] 7",
    "pay GB29 NWBK 6016 1331 9268 19 please": "pay [IBAN] please",
    "ssn 123-45-6789, social security number 123456789": "ssn [US_SSN], social security number [US_SSN]",
    "from 203.0.113.7 and 2001:db8::ff00:42:8329": "from [IP] and [IP]",
    "born on 12 March 1990 in Bonn; geboren am 01.02.1990": "born on [BIRTH_DATE] in Bonn; geboren am [BIRTH_DATE]",
    "AKIAIOSFODNN7EXAMPLE": "[AWS_KEY]",
    "sk-ant-api03-a1B2c3D4e5F6g7H8i9J0kLmNoP": "[ANTHROPIC_KEY]",
    "xoxb-123456789012-abcDEF456": "[SLACK_TOKEN]",
    "ghp_" + "a1B2" * 9: "[GITHUB_TOKEN]",
    "postgres://u:p4ss@db/x": "postgres://[CONNECTION_STRING]@db/x",
    "password = 'hunter2!!'": "password = '[PASSWORD]'",
    "my password is hunter22.": "my password is [PASSWORD].",
    '{"api_key": "9f8a7b6c5d4e3f2a1b0c"}': '{"api_key": "[PASSWORD]"}',
    "-----BEGIN RSA PRIVATE KEY-----\\nMIIabc\\n-----END RSA PRIVATE KEY----- bye": "[PRIVATE_KEY] bye",
    "azure api-key 0123456789abcdef0123456789abcdef": "azure api-key [AZURE_KEY]",
}

HARMLESS = (
    "max_tokens: 4096, password reset instructions, password: required",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736 commit 9ae3b5c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6",
    "id 123e4567-e89b-12d3-a456-426614174000 at 2024-05-06T10:20:30.123456Z",
    "version 1.2.3.4 of 127.0.0.1, order 1234567890123456, took 1763764404123 ms",
    "sk-learn-contrib-imbalanced-classes, icon@2x.png, git@github.com:a/b.git, @decorator",
    "token = get_token(user); password = os.environ['X']; secret: ${SECRET}; api_key=<your key>",
    "12:30 to 13:45 on 01.02.2024, pages 100-200, 3.14159265358979, ISBN 978-3-16-148410-0",
    "the ratio is 1/2/3 and a::b::c is a path",
)


@pytest.mark.parametrize("text", FOUND)
def test_what_is_found(text: str) -> None:
    assert redact(text)[0] == FOUND[text]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_left_alone(text: str) -> None:
    assert redact(text) == (text, {})


@pytest.mark.parametrize(
    "text",
    [
        "４１１１ １１１１ １１１１ １１１１",
        "4111\u200b1111\u00ad1111\u20601111",
        "4111\u00a01111\u20091111\u202f1111",
        "4111–1111–1111–1111",
        "٤١١١١١١١١١١١١١١١",
        "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
    ],
)
def test_disguised_digits_are_digits(text: str) -> None:
    assert redact(f"мой {text}!") == ("мой [CARD]!", {"card": 1})


def test_disguised_letters_and_offsets() -> None:
    text = "ж j\u200boe＠ex\u0430mple.com ж"
    (finding,) = find(text)
    assert text[finding.start : finding.end] == "j\u200boe＠ex\u0430mple.com"


def test_kinds_choose_and_unknown_kinds_are_refused() -> None:
    assert redact("joe@example.com 4111111111111111", {"card"})[1] == {"card": 1}
    with pytest.raises(DataError, match="emial") as caught:
        find("text", {"emial"})
    assert "email" in str(caught.value)


def test_check_digits() -> None:
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert not is_card("1234567812345670")
    assert is_iban("DE89370400440532013000")
    assert not is_iban("DE88370400440532013000")


PIECES = st.sampled_from([*FOUND, *HARMLESS, "@", "1", " ", "eyJ", "sk-", "\u200b", "é", "://", "=", "-----BEGIN"])


@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=12).map("".join))
@examples(max_examples=300)
def test_findings_are_ordered_apart_and_gone_after_redaction(text: str) -> None:
    found = find(text)
    assert all(0 <= item.start < item.end <= len(text) and item.kind in KINDS for item in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    redacted, counts = redact(text)
    assert sum(counts.values()) == len(found)
    for item in found:
        if item.score == 1.0:
            assert text[item.start : item.end] not in redacted or text.count(text[item.start : item.end]) > 1


HOSTILE = (
    "a", "1", "1 ", "@", "a@", "a@a.", "eyJ", "sk-", "password=", "password ", "://a:", "-----BEGIN PRIVATE KEY-----",
    "DE89 ", "1.1.1.1.", ":", "born ", "born 1", "+1", "0 ", "==", "(1)", "\u200b", "JQQJ99", "phone 1 ", "azure key ",
    "1/1/", "_live_", "a-", "joe@example.com ", "é@é.", "\\n",
)  # fmt: skip


@pytest.mark.no_cover  # what is measured is the time
@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    def spent(length: int) -> float:
        text = unit * (length // len(unit))
        begun = time.process_time()
        find(text)
        return time.process_time() - begun

    spent(1000)
    # 16 times the text may take 16 times as long; a square would take 256 times. Chance is given a factor of four.
    short = min(spent(4_000) for _ in range(3))
    assert min(spent(64_000) for _ in range(2)) < 64 * max(short, 0.0005)
