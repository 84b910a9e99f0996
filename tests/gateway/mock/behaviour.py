"""What the mock upstream is told to do: it stands in the model's name, so that a gateway between changes nothing.

`mock-tokens=64-pace=20-first=5-fault=cut@7-times=2` answers with 64 tokens, one each 20 ms, the first after 5 ms, and
cuts the first two such answers after the 7th token. The same words may stand in the request's `user` or in the header
`x-mock` instead; then the model may have any name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from msgspec import Struct

WORDS = {
    "tokens": int,  # words of the answer; one frame of a stream each
    "pace": float,  # milliseconds between two frames
    "first": float,  # milliseconds until the answer begins
    "in": int,  # tokens read, cached ones included; by default a fourth of the messages' bytes
    "cached": int,  # of those, read from the cache
    "write": int,  # of those, written to the cache for minutes
    "writelong": int,  # and for an hour
    "audioin": int,
    "audioout": int,
    "imagein": int,
    "reasoning": int,  # tokens of thought, beside `tokens`
    "think": int,  # of those, frames of a stream in which thoughts are shown
    "fault": str,
    "times": int,  # how often the fault happens for one name and key; always by default
    "retry-after": float,  # seconds
    "status": int,  # of the page of `html`
    "echo": int,  # 1: the answer is the last message's text
    "calls": int,  # tools called at once, where the request offers any
    "comments": int,  # 1: a comment line (OpenAI) before each frame; Anthropic always sends pings
    "dims": int,  # length of a vector
    "key": str,  # means nothing: tells two names apart
}
FAULTS = {
    "hang": "never answers; hang@k: after k frames",
    "cut": "ends the connection in mid-answer; cut@k: after k frames",
    "disconnect": "ends the connection without a byte",
    "malformed": "broken JSON; of a stream, its second frame",
    "slow": "every piece arrives in several parts, `pace` apart, cut anywhere",
    "html": "a page of HTML with status 200, or `status`",
    "nousage": "says nothing about usage",
    "usagetwice": "says it twice",
    "lielength": "promises more bytes than it sends, then ends the connection",
    "badutf8": "bytes that are no UTF-8 within the text",
    "emptybody": "200 without a byte",
    "contextlength": "400: too long a prompt",
    "contentfilter": "400: refused by a filter",
    "filtered": "an answer that a filter ended",
    "error-in-stream": "an error event within a stream; error-in-stream@k: after k frames",
    "noend": "the stream ends properly after the last text, without the events that end the answer",
    "nodone": "the stream ends without its last event",
}
_NAMES = "|".join(WORDS)
_PART = re.compile(rf"(?:^|-)({_NAMES})=(.*?)(?=-(?:{_NAMES})=|$)")


class Behaviour(Struct, frozen=True, kw_only=True):
    """What one request is answered with; times in seconds. The fields are those of `WORDS`."""

    tokens: int = 8
    pace: float = 0.0
    first: float = 0.0
    input: int | None = None
    cached: int = 0
    write: int = 0
    writelong: int = 0
    audioin: int = 0
    audioout: int = 0
    imagein: int = 0
    reasoning: int = 0
    think: int = 0
    fault: str = ""
    at: int | None = None
    times: int | None = None
    retry_after: float | None = None
    status: int | None = None
    echo: int = 0
    calls: int = 1
    comments: int = 0
    dims: int = 8

    @property
    def error(self) -> int | None:
        """The HTTP status of the fault, where it is one."""
        return int(self.fault) if self.fault.isdigit() else None


@lru_cache(4096)
def behaviour(text: str) -> Behaviour:
    """Read a behaviour; what is no word of it means nothing.

    Raises:
        ValueError: for a fault that does not exist, or a number that is none.
    """
    said: dict[str, Any] = {}
    for name, value in _PART.findall(text):
        if name == "fault":
            fault, _, at = value.partition("@")
            if fault not in FAULTS and not re.fullmatch(r"[45]\d\d", fault):
                raise ValueError(f"no such fault: {fault!r}; there are: {', '.join(FAULTS)}, and any status 4xx or 5xx")
            said |= {"fault": fault, "at": int(at) if at else None}
        elif name in {"pace", "first"}:
            said[name] = float(value) / 1000
        elif name != "key":
            said[{"in": "input", "retry-after": "retry_after"}.get(name, name)] = WORDS[name](value)
    return Behaviour(**said)
