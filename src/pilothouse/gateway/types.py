"""The nouns of a call through the gateway. Times are nanoseconds since 1970 (UTC), money integer nano-dollars."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from pilothouse.models.types import Usage

Body = dict[str, msgspec.Raw]
"""A JSON object decoded one level deep: what routing needs is read, the rest is spliced back byte by byte."""

Dialect = Literal["openai", "anthropic", "gemini", "bedrock", "cohere"]
"""Whose manner of speaking; decides the shape of an error."""

Operation = Literal[
    "chat",
    "embeddings",
    "images",
    "speech",
    "transcriptions",
    "moderations",
    "rerank",
    "count_tokens",
    "raw",
]
"""What is asked of a model; ``raw`` (files, batches, fine-tuning) is handed on as it is."""

Wire = Literal[
    "openai.chat",
    "openai.completions",
    "openai.responses",
    "openai.embeddings",
    "openai.images",
    "openai.speech",
    "openai.transcriptions",
    "openai.moderations",
    "openai.raw",
    "anthropic.messages",
    "anthropic.count_tokens",
    "gemini.generate",
    "gemini.embed",
    "bedrock.converse",
    "bedrock.embed",
    "cohere.chat",
    "cohere.embed",
    "cohere.rerank",
]
"""The form of a request's and an answer's body. Alike on both sides: bytes pass; unlike: they are translated."""

Failure = Literal[
    "rate_limit",
    "server",
    "connect",
    "timeout",
    "stream_idle",
    "cut",
    "malformed",
    "context_length",
    "content_filter",
    "auth",
    "request",
    "cancelled",
]
"""Why an attempt at a deployment failed. ``auth``: the deployment's own key; ``request``: the client's mistake."""

Status = Literal["ok", "failed", "cut", "cancelled", "refused"]
"""How a call ended: ``cut`` ended by us or the upstream inside the answer, ``cancelled`` by the client."""

NANO: Final = 1_000_000_000
"""Nano-dollars in a dollar; nanoseconds in a second."""


class Tenant(Struct, frozen=True, kw_only=True):
    """Who pays for a call.

    Attributes:
        key: Id of the virtual key; empty where the gateway is open.
        organisation: The outermost owner; empty for none.
        team: Within the organisation.
        user: Within the team: a person or a service.
        use_case: What the key is for, so that spend can be told apart.
    """

    key: str = ""
    organisation: str = ""
    team: str = ""
    user: str = ""
    use_case: str = ""


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one deployment.

    Attributes:
        deployment: Its id.
        begun_ns: When, from the call's begin.
        duration_ns: Until its end, or until the answer began to be handed on.
        status: The upstream's HTTP status; 0 where none came.
        failure: None where it served the call.
        hedge: Whether it ran beside another.
        wait_ns: How long was waited before it.
        given_up: Whether it was sent and its end was not awaited, or never came: its vendor may bill for it.
        may_cost: Of such a one, the most that may be billed beyond what is in the row's ``cost``, nano-dollars; None
            where its price, or how much it may write, is not known.
        delivered: Of such a one, the tokens that had come: one for each piece.
    """

    deployment: str
    begun_ns: int
    duration_ns: int
    status: int = 0
    failure: Failure | None = None
    hedge: bool = False
    wait_ns: int = 0
    given_up: bool = False
    may_cost: int | None = None
    delivered: int = 0


class LedgerEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one call was, used and cost: exactly one for each call that showed a valid key.

    Attributes:
        id: The call's id, also the header `x-pilothouse-call`.
        at_ns: When the request had arrived.
        duration_ns: From there to the last byte of the answer.
        first_ns: From there to the first byte of the answer's body; 0 where none was sent.
        overhead_ns: The part of it that was spent in the gateway, not in waiting for the upstream.
        tenant: Who pays.
        end_user: The client's own user id, as it says.
        session: The client's session or conversation id.
        metadata: The client's tags, at most 16 short ones.
        route: The model name the client asked for, resolved to a route.
        wire: The form the client spoke.
        stream: Whether the answer was streamed.
        deployment: Who served it; empty for nobody.
        provider: By OpenTelemetry's name.
        model: As the deployment names it.
        response_model: As the answer names it.
        status: How it ended.
        http_status: What the client got.
        code: The stable error code; empty for none.
        usage: What was used; None where it is not known. Of an answer that was given up: what is sure of it.
        usage_source: Whether the provider counted, or we did.
        cost: Nano-dollars that are sure; None where usage or price is not known, never 0 for want of a price.
        given_up: Attempts that were given up and may be billed.
        may_cost: The most that is billed for them beyond ``cost``, nano-dollars; None where there are none, or the
            most is not known of one of them.
        charged: Where ``cost`` or ``may_cost`` is not known, the nano-dollars that budgets took for the call: what had
            been set aside; None where both are known, or no limit held.
        price: Which price: ``source@date``; None where none is known.
        attempts: The routing trace.
        config: Version of the configuration that decided.
        experiment: The experiment in traffic; empty for none.
        arm: Its arm.
        cache: How the answer cache took part.
        shadow: Whether the client never saw the answer.
        trace_id: The span's trace, 32 hexadecimal digits; empty where none was recorded.
    """

    id: str
    at_ns: int
    duration_ns: int
    first_ns: int = 0
    overhead_ns: int = 0
    tenant: Tenant = Tenant()
    end_user: str = ""
    session: str = ""
    metadata: dict[str, str] = {}
    route: str = ""
    wire: str = ""
    stream: bool = False
    deployment: str = ""
    provider: str = ""
    model: str = ""
    response_model: str = ""
    status: Status
    http_status: int
    code: str = ""
    usage: Usage | None = None
    usage_source: Literal["provider", "estimated", "none"] = "none"
    cost: int | None = None
    given_up: int = 0
    may_cost: int | None = None
    charged: int | None = None
    price: str | None = None
    attempts: tuple[Attempt, ...] = ()
    config: str = ""
    experiment: str = ""
    arm: str = ""
    cache: Literal["", "miss", "exact", "semantic"] = ""
    shadow: bool = False
    trace_id: str = ""

    @property
    def budgeted(self) -> int:
        """Nano-dollars that budgets count: what is sure and what may be billed; else what had been set aside."""
        return self.charged if self.charged is not None else (self.cost or 0) + (self.may_cost or 0)
