"""The section `models` of the settings."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct, field

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]
_Wait = Annotated[float, Meta(ge=0)]
_Dollars = Annotated[float, Meta(ge=0)]


class Timeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to wait for a provider, in seconds.

    Attributes:
        connect: Until the connection stands.
        first_byte: Until the answer begins; without streaming that is nearly the whole call.
        idle: Between two pieces of a stream.
        total: For one attempt from beginning to end.
    """

    connect: _Seconds = 10.0
    first_byte: _Seconds = 300.0
    idle: _Seconds = 60.0
    total: _Seconds = 900.0


class Retries(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often and how patiently a failed call is repeated.

    Attributes:
        attempts: Most attempts, the first included.
        base: Upper bound of the first wait, in seconds; it doubles each time, the wait is drawn evenly below it.
        longest: Upper bound of any wait that the provider did not ask for, in seconds.
        budget: Seconds that all waits of one call may take together.
    """

    attempts: _Count = 6
    base: _Wait = 0.5
    longest: _Wait = 30.0
    budget: _Wait = 180.0


class Concurrency(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls in flight to one connection.

    Attributes:
        start: Where the limit begins; None for the ceiling.
        ceiling: Where it ends.
    """

    start: _Count | None = None
    ceiling: _Count = 200


class Local(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Models in this process.

    Attributes:
        context: Tokens one call can use, prompt and answer together.
        parallel: Calls served at once.
        threads: Threads that compute; None for the cores this process may use, minus one, at least one.
    """

    context: _Count = 2048
    parallel: _Count = 4
    threads: _Count | None = None


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price of your own, in US dollars for a million tokens unless said otherwise; it wins over the catalogue.

    A part of the input or output that has no price of its own costs what its whole costs; where the whole has none
    either, the cost of a call that used it is not known.

    Attributes:
        model: The model's name at the provider.
        input: For tokens read.
        output: For tokens written.
        cached_input: For tokens read from the provider's cache; None for the price of ``input``.
        cache_write: For tokens written to the provider's cache; None for the price of ``input``.
        cache_write_long: The same, kept for an hour; None for the price of ``cache_write``.
        audio_input: For tokens of sound read.
        audio_output: For tokens of sound written.
        image_input: For tokens of pictures read.
        image_output: For tokens of pictures written.
        reasoning: For tokens thought; None for the price of ``output``.
        image: For each picture made.
        characters: For a million characters read aloud.
        second: For each second of sound heard.
        search: For each search unit.
        request: For each call, besides the rest.
        provider: Who serves it; None for any.
        since: The first day it holds (UTC); None for always. The latest day that has come wins.
    """

    model: str
    input: _Dollars | None = None
    output: _Dollars | None = None
    cached_input: _Dollars | None = None
    cache_write: _Dollars | None = None
    cache_write_long: _Dollars | None = None
    audio_input: _Dollars | None = None
    audio_output: _Dollars | None = None
    image_input: _Dollars | None = None
    image_output: _Dollars | None = None
    reasoning: _Dollars | None = None
    image: _Dollars | None = None
    characters: _Dollars | None = None
    second: _Dollars | None = None
    search: _Dollars | None = None
    request: _Dollars | None = None
    provider: str | None = None
    since: date | None = None


class ModelSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How models are reached.

    Attributes:
        connections: The folder of connection files, from the project's folder.
        cache: The folder of pulled models; None for the user's cache folder.
        timeouts: How long to wait.
        retries: How often to repeat.
        concurrency: How many calls at once.
        local: How models run in this process.
        prices: Prices of your own.
    """

    connections: str = "connections"
    cache: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: Retries = field(default_factory=Retries)
    concurrency: Concurrency = field(default_factory=Concurrency)
    local: Local = field(default_factory=Local)
    prices: tuple[Price, ...] = ()
