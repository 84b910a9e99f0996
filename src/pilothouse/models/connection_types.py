"""What each type of connection holds: a table, not code.

The types, spellings and fields of Azure's and OpenAI's are those of prompt flow, so its connection files are read as
they are; `local`, `scripted` and those of other vendors' models are ours.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from pilothouse.core.errors import ConnectionFault, nearest_hint


class Field(Struct, frozen=True, kw_only=True):
    """One field of a type of connection.

    Attributes:
        required: Whether the connection is useless without it.
        secret: Whether nobody may see it.
        default: What holds where nothing is given; empty for nothing.
        choices: The only values allowed; empty for any.
        unless: ``field=value``, or ``field=one|other``: where that holds, this field is not required; ``field`` alone:
            where that field has another value than its default.
    """

    required: bool = False
    secret: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()
    unless: str = ""


class ConnectionType(Struct, frozen=True, kw_only=True):
    """One type of connection.

    Attributes:
        name: How ``type:`` spells it.
        fields: Its fields by name.
        free: Whether it takes any keys under ``configs:`` and ``secrets:``.
        serves_models: Whether chat, completion or embedding models stand behind it.
    """

    name: str
    fields: dict[str, Field]
    free: bool = False
    serves_models: bool = False


_KEY: Final = Field(required=True, secret=True)
_ADDRESS: Final = Field(required=True)
_KEY_OR_TOKEN: Final = Field(required=True, secret=True, unless="auth_mode=meid_token")
_AUTH_MODE: Final = Field(default="key", choices=("key", "meid_token"))
_TOKEN: Final = Field(required=True, secret=True, unless="auth_mode=key")


TYPES: Final[dict[str, ConnectionType]] = {
    kind.name: kind
    for kind in (
        ConnectionType(
            name="open_ai",
            serves_models=True,
            fields={
                # A server of one's own often asks for no key: then the field is left out.
                "api_key": Field(required=True, secret=True, unless="base_url"),
                "base_url": Field(default="https://api.openai.com/v1"),
                "organization": Field(),
                "project": Field(),
            },
        ),
        ConnectionType(
            name="azure_open_ai",
            serves_models=True,
            fields={
                "api_key": Field(required=True, secret=True, unless="auth_mode=meid_token|entra"),
                "api_base": _ADDRESS,
                "api_type": Field(default="azure"),
                "api_version": Field(default="2024-10-21"),
                # `entra` fetches tokens itself, with the default chain of credentials; flows take it by the gateway.
                "auth_mode": Field(default="key", choices=("key", "meid_token", "entra")),
                "token": Field(required=True, secret=True, unless="auth_mode=key|entra"),
                "resource_id": Field(),
            },
        ),
        ConnectionType(name="serverless", serves_models=True, fields={"api_key": _KEY, "api_base": _ADDRESS}),
        ConnectionType(
            name="anthropic",
            serves_models=True,
            fields={"api_key": _KEY, "base_url": Field(default="https://api.anthropic.com")},
        ),
        ConnectionType(
            name="gemini",
            serves_models=True,
            fields={"api_key": _KEY, "base_url": Field(default="https://generativelanguage.googleapis.com/v1beta")},
        ),
        ConnectionType(
            name="vertex",
            serves_models=True,
            fields={
                "project": Field(required=True),
                "location": Field(default="global"),
                # Whose models: their forms and paths differ.
                "publisher": Field(default="google", choices=("google", "anthropic")),
                # The JSON of a service account's key; without it Google's default credentials are looked for.
                "service_account": Field(secret=True),
                "token": Field(secret=True),
                "base_url": Field(),
            },
        ),
        ConnectionType(
            name="bedrock",
            serves_models=True,
            fields={
                "region": Field(required=True),
                # A bearer key of Bedrock; without it requests are signed, with these keys or those botocore finds.
                "api_key": Field(secret=True),
                "access_key_id": Field(),
                "secret_access_key": Field(secret=True),
                "session_token": Field(secret=True),
                "profile": Field(),
                "base_url": Field(),
            },
        ),
        ConnectionType(
            name="mistral",
            serves_models=True,
            fields={"api_key": _KEY, "base_url": Field(default="https://api.mistral.ai/v1")},
        ),
        ConnectionType(
            name="cohere",
            serves_models=True,
            fields={"api_key": _KEY, "base_url": Field(default="https://api.cohere.com")},
        ),
        ConnectionType(
            name="ollama",
            serves_models=True,
            fields={"api_key": Field(secret=True), "base_url": Field(default="http://127.0.0.1:11434/v1")},
        ),
        ConnectionType(
            name="vllm",
            serves_models=True,
            fields={"api_key": Field(secret=True), "base_url": Field(default="http://127.0.0.1:8000/v1")},
        ),
        ConnectionType(
            name="local",
            serves_models=True,
            fields={"model": Field(), "context": Field(), "parallel": Field(), "threads": Field()},
        ),
        ConnectionType(
            name="scripted", serves_models=True, fields={"script": Field(), "delay": Field(), "model": Field()}
        ),
        ConnectionType(
            name="cognitive_search",
            fields={
                "api_key": _KEY_OR_TOKEN,
                "api_base": _ADDRESS,
                "api_type": Field(default="azure"),
                "api_version": Field(default="2023-11-01"),
                "auth_mode": _AUTH_MODE,
                "token": _TOKEN,
            },
        ),
        ConnectionType(
            name="azure_ai_services",
            fields={"api_key": _KEY_OR_TOKEN, "endpoint": _ADDRESS, "auth_mode": _AUTH_MODE, "token": _TOKEN},
        ),
        ConnectionType(
            name="azure_content_safety",
            fields={
                "api_key": _KEY,
                "endpoint": _ADDRESS,
                "api_type": Field(default="Content Safety"),
                "api_version": Field(default="2023-10-01"),
            },
        ),
        ConnectionType(
            name="form_recognizer",
            fields={
                "api_key": _KEY,
                "endpoint": _ADDRESS,
                "api_type": Field(default="Form Recognizer"),
                "api_version": Field(default="2023-07-31"),
            },
        ),
        ConnectionType(name="serp", fields={"api_key": _KEY, "api_base": Field(default="https://serpapi.com")}),
        ConnectionType(name="qdrant", fields={"api_key": _KEY, "api_base": _ADDRESS}),
        ConnectionType(name="weaviate", fields={"api_key": _KEY, "api_base": _ADDRESS}),
        ConnectionType(
            name="custom",
            free=True,
            # The four of a strong type: which class of which package describes the keys.
            fields={"custom_type": Field(), "module": Field(), "package": Field(), "package_version": Field()},
        ),
    )
}

_SPELLINGS: Final[dict[str, str]] = {
    **{name.replace("_", ""): name for name in TYPES},
    "customstrongtype": "custom",
    "azureaisearch": "cognitive_search",
    "azuredocumentintelligence": "form_recognizer",
    "openaicompatible": "open_ai",
    "googleai": "gemini",
    "vertexai": "vertex",
    "amazonbedrock": "bedrock",
    "mistralai": "mistral",
}


def connection_type(spelling: str, where: str | None = None) -> ConnectionType:
    """Return the type that ``spelling`` names: `azure_open_ai`, `AzureOpenAI`, `AzureOpenAIConnection` are one.

    Raises:
        ConnectionFault: for an unknown type, naming the nearest.
    """
    bare = "".join(letter for letter in spelling.lower() if letter.isalnum()).removesuffix("connection")
    if bare not in _SPELLINGS:
        raise ConnectionFault(
            f"there is no connection type '{spelling}'", where=where, expected=nearest_hint(spelling, TYPES)
        )
    return TYPES[_SPELLINGS[bare]]
