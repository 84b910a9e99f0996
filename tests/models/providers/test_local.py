"""The real local model, in this process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.core.clock import SystemClock
from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConnectionFault, ModelError, NotFound, UserError
from pilothouse.core.packages import user_cache
from pilothouse.models import local_models
from pilothouse.models.client import ProviderContext, collect
from pilothouse.models.providers import llama
from pilothouse.models.providers.local import LocalClient, build
from pilothouse.models.settings import Local, ModelSettings
from pilothouse.models.types import ChatRequest, ChatResponse, CompletionRequest, Connection, EmbeddingRequest, Message

MODEL = local_models.DEFAULT


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's cache, with the model in it."""
    folder = user_cache(Environment.load(Path("/"))) / "models"
    local_models.pull(MODEL, folder)
    return folder


@pytest.fixture(scope="session")
def context_of_client(cache: Path) -> ProviderContext:
    settings = ModelSettings(local=Local(context=512, parallel=4))
    return ProviderContext(settings=settings, root=Path("/"), cache=cache, clock=SystemClock())


@pytest.fixture(scope="session")
def before_client() -> set[str]:
    """The sockets of this process before it has a client: other tests may listen on some."""
    return {link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.exists()}


@pytest.fixture(scope="session")
def client(before_client: set[str], context_of_client: ProviderContext) -> Iterator[LocalClient]:
    """One client for all tests: the model is loaded once."""
    made = LocalClient(Connection(name="local", type="local"), context_of_client)
    yield made
    made.close()


def asked(text: str, **fields: Any) -> ChatRequest:
    fields = {"temperature": 0.0, "max_tokens": 6, **fields}
    return ChatRequest(model=MODEL, messages=(Message(role="user", content=text),), **fields)


@pytest.mark.local_model
def test_it_answers(client: LocalClient) -> None:
    response = asyncio.run(client.chat(asked("Say hello.")))
    assert response.text
    assert (response.model, response.finish_reason) == (MODEL, "length")
    assert response.usage is not None
    assert response.usage.input_tokens > 3
    assert response.usage.output_tokens == 6


@pytest.mark.local_model
def test_a_stream_adds_up_to_the_answer(client: LocalClient) -> None:
    async def both() -> tuple[ChatResponse, ChatResponse, int]:
        pieces = [chunk async for chunk in client.stream(asked("Name a colour."))]

        async def replay() -> AsyncIterator[Any]:
            for piece in pieces:
                yield piece

        return await client.chat(asked("Name a colour.")), await collect(replay()), len(pieces)

    whole, streamed, pieces = asyncio.run(both())
    assert streamed.text == whole.text
    assert streamed.usage is not None
    assert pieces > 4


@pytest.mark.local_model
def test_a_schema_is_kept_to(client: LocalClient) -> None:
    schema = {"type": "object", "properties": {"label": {"enum": ["spam", "ham"]}}, "required": ["label"]}
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    request = asked("Is 'win money now' spam or ham?", max_tokens=40, response_format=form)
    response = asyncio.run(client.chat(request))
    assert msgspec.json.decode(response.text)["label"] in {"spam", "ham"}


@pytest.mark.local_model
def test_answers_do_not_depend_on_order_company_or_cache(client: LocalClient) -> None:
    texts = [
        f"Message: {word} {'and so on ' * index}\nSpam or ham?" for index, word in enumerate(("win", "mum", "bus"))
    ]

    async def alone(order: list[str]) -> dict[str, str]:
        return {text: (await client.chat(asked(text))).text for text in order}

    async def together() -> dict[str, str]:
        answers = await asyncio.gather(*(client.chat(asked(text)) for text in texts))
        return {text: answer.text for text, answer in zip(texts, answers, strict=True)}

    first = asyncio.run(together())
    assert asyncio.run(alone(texts[::-1])) == first
    assert asyncio.run(together()) == first


@pytest.mark.local_model
def test_a_seed_repeats_a_drawn_answer(client: LocalClient) -> None:
    request = asked("Tell me something.", temperature=1.0, seed=11, max_tokens=8)
    first, second = asyncio.run(client.chat(request)), asyncio.run(client.chat(request))
    assert first.text == second.text


@pytest.mark.local_model
def test_a_completion_tells_its_probabilities(client: LocalClient) -> None:
    request = CompletionRequest(prompt="The capital of France is", max_tokens=2, temperature=0.0, logprobs=2)
    response = asyncio.run(client.complete(request))
    assert response.text.startswith(" Paris")
    assert len(response.logprobs["content"]) == 2


@pytest.mark.local_model
def test_a_prompt_that_is_too_long_says_how_long(client: LocalClient) -> None:
    with pytest.raises(ModelError, match=r"the prompt of \d+ tokens does not fit into a context of 512") as caught:
        asyncio.run(client.chat(asked("word " * 600)))
    assert not caught.value.retryable
    assert "models.local.context" in str(caught.value)


@pytest.mark.local_model
@pytest.mark.parametrize(
    "fields",
    [
        {"n": 99},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}},
        {"extra": {"grammar": "this is ( no grammar"}},
    ],
)
def test_what_llama_refuses_is_an_error_and_not_repeated(client: LocalClient, fields: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        asyncio.run(client.chat(asked("x", **fields)))
    assert not caught.value.retryable


@pytest.mark.local_model
def test_vectors_are_refused_by_a_model_that_makes_none(client: LocalClient) -> None:
    with pytest.raises(ModelError, match="makes no vectors"):
        asyncio.run(client.embed(EmbeddingRequest(model=MODEL, inputs=("a",))))


@pytest.mark.local_model
def test_a_call_that_is_given_up_frees_its_slot(client: LocalClient) -> None:
    async def run() -> str:
        endless = asked("Tell a long story.", max_tokens=400, extra={"ignore_eos": True})
        streams = [client.stream(endless) for _ in range(4)]
        for stream in streams:
            while not (await anext(stream)).text:
                pass
        task = asyncio.create_task(client.chat(asked("Say hello.")))  # waits for a slot
        await asyncio.sleep(0)
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]
        return (await task).text

    assert asyncio.run(run())


@pytest.mark.local_model
def test_a_model_is_loaded_once_for_all_who_use_it(
    client: LocalClient, context_of_client: ProviderContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(client.chat(asked("x", max_tokens=1)))
    monkeypatch.setattr(llama, "_load", None)
    other = LocalClient(Connection(name="again", type="local"), context_of_client)
    asyncio.run(other.chat(asked("x", max_tokens=1)))
    asyncio.run(other.aclose())
    assert asyncio.run(client.chat(asked("x", max_tokens=1))).finish_reason == "length"


@pytest.mark.local_model
@pytest.mark.parametrize("ending", ["run(client.aclose())", "pass", "run(give_up())"])
def test_a_process_ends_cleanly_and_quietly(cache: Path, tmp_path: Path, ending: str) -> None:
    """Closed, forgotten, or in the middle of an answer: no hang, no noise, nothing left in the temporary folder."""
    script = f"""
        import asyncio, sys
        from pathlib import Path
        from pilothouse.core.clock import SystemClock
        from pilothouse.models.client import ProviderContext
        from pilothouse.models.providers.local import LocalClient
        from pilothouse.models.settings import ModelSettings
        from pilothouse.models.types import ChatRequest, Connection, Message
        context = ProviderContext(settings=ModelSettings(), root=Path("/"), cache=Path(sys.argv[1]), clock=SystemClock())
        client = LocalClient(Connection(name="local", type="local"), context)
        def asked(tokens):
            extra = {{"ignore_eos": True}}
            return ChatRequest(messages=(Message(role="user", content="x"),), max_tokens=tokens, extra=extra)
        async def give_up():
            stream = client.stream(asked(1500))
            await anext(stream)
        run = asyncio.run
        run(client.chat(asked(2)))
        {ending}
        print("done")
        """
    command = [sys.executable, "-c", textwrap.dedent(script), str(cache)]
    environment = {**Environment.load(Path("/")), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.local_model
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's list of sockets")
def test_no_port_is_open_and_no_socket_can_be_found(before_client: set[str], client: LocalClient) -> None:
    asyncio.run(client.chat(asked("x", max_tokens=1)))
    mine = {link.readlink().name for link in Path("/proc/self/fd").iterdir() if link.exists()}
    ports = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{fields[9]}]" for fields in ports if fields[3] == "0A"} & mine
    assert listening <= before_client
    named = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    found = [fields[7] for fields in named if len(fields) > 7 and f"socket:[{fields[6]}]" in mine]
    assert [path for path in found if path.endswith("model.sock")]
    assert not [path for path in found if Path(path).exists()]


def test_a_model_that_is_not_pulled_says_how_to(context: Callable[..., ProviderContext]) -> None:
    with pytest.raises(UserError, match="is not pulled") as caught:
        asyncio.run(build(Connection(name="local", type="local"), context()).chat(asked("x")))
    assert f"pilothouse model pull {MODEL}" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello world", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_a_file_that_is_no_model_is_refused(
    tmp_path: Path, context: Callable[..., ProviderContext], content: bytes
) -> None:
    (tmp_path / "mine.gguf").write_bytes(content)
    client = build(Connection(name="local", type="local", configs={"model": "mine.gguf"}), context())
    with pytest.raises(UserError, match=r"mine\.gguf"):
        asyncio.run(client.chat(ChatRequest(messages=(Message(role="user", content="x"),))))


def test_a_missing_package_names_the_cure(
    tmp_path: Path, context: Callable[..., ProviderContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    client = build(Connection(name="local", type="local", configs={"model": "mine.gguf"}), context())
    with pytest.raises(UserError, match="xllamacpp") as caught:
        asyncio.run(client.chat(ChatRequest(messages=(Message(role="user", content="x"),))))
    assert 'pip install "pilothouse[local]"' in str(caught.value)


@pytest.mark.parametrize(("name", "hint"), [("smolm2", "smollm2-135m-instruct"), ("nowhere.gguf", "nowhere.gguf")])
def test_an_unknown_model_names_what_there_is(context: Callable[..., ProviderContext], name: str, hint: str) -> None:
    client = build(Connection(name="local", type="local"), context())
    with pytest.raises(NotFound) as caught:
        asyncio.run(client.chat(ChatRequest(model=name, messages=(Message(role="user", content="x"),))))
    assert hint in str(caught.value)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_a_number_of_the_connection_must_be_one(context: Callable[..., ProviderContext], text: str) -> None:
    with pytest.raises(ConnectionFault, match="'parallel'"):
        build(Connection(name="mine", type="local", configs={"parallel": text}), context())


def test_the_connection_goes_before_the_settings(context: Callable[..., ProviderContext]) -> None:
    assert build(Connection(name="mine", type="local", configs={"parallel": "7"}), context()).concurrency == 7
    assert build(Connection(name="mine", type="local"), context()).concurrency == 4


def test_threads_leave_a_core_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 1), (8, 7)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert llama.default_threads() == threads
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert llama.default_threads() == 1
