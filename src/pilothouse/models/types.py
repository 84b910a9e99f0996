"""The nouns of model calls, alike for every provider."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from pilothouse.models.secret import Secret

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]


class TextPart(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A piece of text inside a message of several parts.

    ``cache`` says here and in other nouns how long the provider shall keep all that stands up to this place in its
    cache: ``5m`` or ``1h``; None where it need not.
    """

    text: str
    cache: str | None = None


class ImagePart(Struct, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """An image, by address or as bytes.

    Attributes:
        url: Where the provider can read it; None when ``data`` is given.
        data: The bytes of the image.
        media_type: Such as ``image/png``; needed with ``data``.
        detail: How closely the model should look: ``low``, ``high`` or ``auto``.
    """

    url: str | None = None
    data: bytes | None = None
    media_type: str = "image/png"
    detail: str | None = None
    cache: str | None = None


class AudioPart(Struct, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """Sound as bytes; ``format`` is such as ``wav`` or ``mp3``."""

    data: bytes
    format: str = "wav"


class FilePart(Struct, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A document, as bytes, by address, or by the name under which the provider keeps it."""

    name: str | None = None
    data: bytes | None = None
    media_type: str = "application/pdf"
    file_id: str | None = None
    url: str | None = None
    cache: str | None = None


Part = TextPart | ImagePart | AudioPart | FilePart
Content = str | tuple[Part, ...]


class ToolCall(Struct, frozen=True, kw_only=True):
    """The model's wish to call a tool; ``arguments`` is the JSON text as the model wrote it, valid or not."""

    id: str
    name: str
    arguments: str
    cache: str | None = None


class Thought(Struct, frozen=True, kw_only=True):
    """A stretch of thinking that the provider wants back unchanged in the next turn.

    Attributes:
        text: What is shown of it; may be empty.
        signature: The provider's proof that the text is its own.
        hidden: The thought itself, readable by the provider alone.
        id: The provider's name for it.
    """

    text: str = ""
    signature: str = ""
    hidden: str = ""
    id: str = ""


class ToolCallDelta(Struct, frozen=True, kw_only=True):
    """A fragment of a tool call in a stream; fragments with one ``index`` belong together, in order."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class Message(Struct, frozen=True, kw_only=True):
    """One message of a conversation.

    Attributes:
        role: Who speaks.
        content: Text, or parts of several kinds.
        name: The speaker's name, or the function's for the role ``function``.
        tool_calls: What an assistant wants called.
        tool_call_id: For the role ``tool``: the call this answers.
        function_call: The older form of one tool call; its ``id`` is empty.
        refusal: The model's words where it declined to answer.
        reasoning: The model's thoughts, where the provider shows them.
        thoughts: The same with the provider's signatures, where it has them; they stand before the content.
        annotations: Citations in the content, in OpenAI's form.
        audio: Sound spoken by the model, in OpenAI's form (``id``, ``data``, ``transcript``), or its ``id`` alone.
        is_error: For the role ``tool``: whether the tool failed.
        cache: For the role ``tool``: as in ``TextPart``.
    """

    role: Role
    content: Content = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    function_call: ToolCall | None = None
    refusal: str | None = None
    reasoning: str | None = None
    thoughts: tuple[Thought, ...] = ()
    annotations: tuple[dict[str, Any], ...] = ()
    audio: dict[str, Any] | None = None
    is_error: bool = False
    cache: str | None = None

    @property
    def text(self) -> str:
        """The text of the message; parts that are not text are left out."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


class Reasoning(Struct, frozen=True, kw_only=True):
    """How much a model thinks before it answers.

    Attributes:
        effort: ``none``, ``minimal``, ``low``, ``medium``, ``high``, ``xhigh`` or ``max``.
        budget: Most tokens of thought, where the provider takes a number; 0 for none.
        is_adaptive: Whether the model may choose for itself.
        summary: How its thoughts are shown: ``auto``, ``concise`` or ``detailed``.
    """

    effort: str | None = None
    budget: int | None = None
    is_adaptive: bool = False
    summary: str | None = None


class Sampling(Struct, frozen=True, kw_only=True):
    """What steers the choice of words; None leaves it to the provider.

    Attributes:
        model: The model's name at the provider; for Azure the deployment; empty for the connection's own model.
        temperature: 0 (always the likeliest word) to 2.
        top_p: The share of probability words are taken from, 0 to 1.
        max_tokens: Most tokens of output.
        stop: Texts that end the answer.
        seed: For the same answer to the same request, as far as the provider keeps that.
        n: How many answers.
        presence_penalty: -2 to 2.
        frequency_penalty: -2 to 2.
        logit_bias: Token id to bias, -100 to 100.
        user: The end user's identity, for the provider's abuse checks.
        extra: Further keys, put into the request body as they are; they win over the fields above.
    """

    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: str | tuple[str, ...] | None = None
    seed: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


class ChatRequest(Sampling, frozen=True, kw_only=True):
    """A conversation to be continued.

    Attributes:
        messages: The conversation so far.
        tools: Tool declarations in OpenAI's form.
        tool_choice: ``auto``, ``none``, ``required`` or the declaration of one tool.
        functions: The older form of ``tools``.
        function_call: The older form of ``tool_choice``.
        response_format: The form of the answer, such as a JSON schema, in OpenAI's form.
        top_k: Words are taken from so many of the likeliest.
        parallel_tool_calls: Whether several tools may be called at once.
        reasoning: How much the model thinks.
        logprobs: Whether log probabilities are wanted.
        top_logprobs: For how many likeliest tokens at each place.
        modalities: Kinds of output, such as ``text`` and ``audio``.
        audio: Voice and format of spoken output, in OpenAI's form.
        verbosity: ``low``, ``medium`` or ``high``.
        service_tier: The provider's class of service, in its own word.
        metadata: Tags the provider keeps with the call.
    """

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    functions: tuple[dict[str, Any], ...] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    top_k: int | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    modalities: tuple[str, ...] | None = None
    audio: dict[str, Any] | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    metadata: dict[str, str] | None = None


class CompletionRequest(Sampling, frozen=True, kw_only=True):
    """A text to be continued.

    Attributes:
        prompt: The text so far.
        suffix: The text that follows what is inserted.
        logprobs: How many likeliest tokens to report at each place.
        echo: Whether the answer repeats the prompt.
        best_of: Answers made, of which the likeliest is returned.
    """

    prompt: str
    suffix: str | None = None
    logprobs: int | None = None
    echo: bool | None = None
    best_of: int | None = None


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """Texts to be turned into vectors, of ``dimensions`` numbers where the model allows a choice."""

    model: str = ""
    inputs: tuple[str, ...]
    dimensions: int | None = None
    user: str | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """What one call used, or many did.

    A part is always counted in its whole: a cost is found by subtraction, never by addition.

    Attributes:
        input_tokens: Read, all kinds.
        output_tokens: Written, all kinds.
        cached_input_tokens: Of the input, read from the provider's cache.
        reasoning_tokens: Of the output, thoughts.
        cache_write_tokens: Of the input, written to the provider's cache, to be kept for minutes.
        cache_write_long_tokens: Of the input, written to the provider's cache, to be kept for an hour.
        audio_input_tokens: Of the input, sound.
        audio_output_tokens: Of the output, sound.
        image_input_tokens: Of the input, pictures.
        image_output_tokens: Of the output, pictures.
        cached_audio_tokens: Of the cached input, sound.
        images: Pictures made, where they are billed by piece.
        characters: Characters read aloud, where they are billed.
        milliseconds: Sound heard, where its length is billed.
        searches: Search units, as of reranking.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_long_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    cached_audio_tokens: int = 0
    images: int = 0
    characters: int = 0
    milliseconds: int = 0
    searches: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class ChatResponse(Struct, frozen=True, kw_only=True):
    """What a model answered.

    Attributes:
        id: The provider's name for the call.
        model: The model that answered, as the provider names it; prices are looked up by it.
        message: The first answer.
        finish_reason: ``stop``, ``length``, ``tool_calls``, ``function_call``, ``content_filter`` or the
            provider's own word; None where it gave none.
        usage: None where the provider did not report it.
        choices: All answers, the first included.
        logprobs: Log probabilities of the first answer as the provider sends them; None unless asked for.
        finish_reasons: Of all answers, in the order of ``choices``; empty where it was not read.
        logprobs_of: Log probabilities of all answers, in the order of ``choices``.
        stop_sequence: The text that ended the answer, where the provider tells.
        created: Seconds since 1970; 0 where the provider does not say.
        service_tier: The class of service it was given.
    """

    id: str = ""
    model: str = ""
    message: Message
    finish_reason: str | None = None
    usage: Usage | None = None
    choices: tuple[Message, ...] = ()
    logprobs: Any = None
    finish_reasons: tuple[str | None, ...] = ()
    logprobs_of: tuple[Any, ...] = ()
    stop_sequence: str | None = None
    created: int = 0
    service_tier: str | None = None

    @property
    def text(self) -> str:
        """The text of the first answer."""
        return self.message.text


class ChatChunk(Struct, frozen=True, kw_only=True):
    """A piece of a streamed answer; pieces with one ``index`` belong to one answer.

    The usage arrives once, in one of the last pieces, often one without text. ``signature`` and ``hidden`` end the
    thought that ``reasoning`` spelled so far (see ``Thought``); ``audio`` is in OpenAI's form.
    """

    text: str = ""
    role: Role | None = None
    tool_calls: tuple[ToolCallDelta, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    index: int = 0
    refusal: str = ""
    reasoning: str = ""
    id: str = ""
    model: str = ""
    logprobs: Any = None
    signature: str = ""
    hidden: str = ""
    audio: dict[str, Any] | None = None
    annotations: tuple[dict[str, Any], ...] = ()
    stop_sequence: str | None = None


class EmbeddingResponse(Struct, frozen=True, kw_only=True):
    """One vector for each input, in the order of the inputs."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None
    model: str = ""


class Connection(Struct, frozen=True, kw_only=True):
    """A named way to a provider, its references resolved: made at use, never stored.

    Attributes:
        name: The name flows use.
        type: One of the types of ``connection_types``.
        configs: The plain fields.
        secrets: The fields nobody may see; they print as ``***``.
        where: The file it came from, as ``file:line``; empty for a built-in connection.
    """

    name: str
    type: str
    configs: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, Secret] = field(default_factory=dict[str, Secret])
    where: str = ""

    def get(self, key: str, default: str = "") -> str:
        """Return a field, plain or secret, or ``default`` where it is missing or empty."""
        secret = self.secrets.get(key)
        return (secret.reveal() if secret is not None else self.configs.get(key, "")) or default

    def identity(self) -> dict[str, str]:
        """Return what tells two connections apart without a secret: fit for cache keys and records."""
        return {**self.configs, "name": self.name, "type": self.type}
