"""Prompt flow's connection classes, as its tools know them: fields as attributes, as items, and as `dict(**conn)`.

Secrets are kept as `Secret` and come out as text only where they are read by name; printing shows ``***``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConnectionFault, nearest_hint
from pilothouse.models.connection_types import TYPES
from pilothouse.models.secret import Secret

_TOKEN_MODE = "meid_token"  # noqa: S105 - the name of a mode
_OPTIONAL_SECRETS = ("token",)


class SecretValues(MutableMapping[str, str]):
    """Secrets by name: reading one gives its text, printing them gives none."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: Secret(value) for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name].reveal()

    def __setitem__(self, name: str, value: str) -> None:
        self._values[name] = Secret(value)

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def __deepcopy__(self, memo: dict[int, Any]) -> SecretValues:
        return SecretValues(self)


class PromptflowConnection:
    """A connection with ``configs`` and ``secrets``.

    Attributes:
        name: Its name; None for one made by hand.
        type: Prompt flow's name of the type.
        configs: The plain fields.
        secrets: The others.
    """

    TYPE: ClassVar[str] = ""

    def __init__(
        self,
        *,
        name: str | None = None,
        configs: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.type = self.TYPE
        self.configs: dict[str, Any] = dict(configs or {})
        self.secrets = SecretValues(secrets or {})

    def keys(self) -> list[str]:
        """Return the names of all fields."""
        return [*self.configs, *self.secrets]

    def __getitem__(self, key: str) -> Any:
        if key in self.secrets:
            return self.secrets[key]
        if key in self.configs:
            return self.configs[key]
        raise KeyError(f"the connection '{self.name}' has no '{key}': {nearest_hint(key, self.keys())}")

    def __getattr__(self, key: str) -> Any:
        # While a copy is made, there is no `configs` yet.
        if key.startswith("__") or key in {"configs", "secrets"}:
            raise AttributeError(key)
        try:
            return self[key]
        except KeyError as error:
            raise AttributeError(str(error.args[0]), name=key, obj=self) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, configs={self.configs!r}, secrets={self.secrets!r})"


class FixedConnection(PromptflowConnection):
    """A connection of a type whose fields are known.

    Args:
        values: The fields, in the order of ``FIELDS``.
        name: The connection's name.
        named: The fields by name; others are left aside, as prompt flow does.

    Raises:
        TypeError: for a field that is missing or given twice.
    """

    KIND: ClassVar[str] = ""
    FIELDS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *values: Any, name: str | None = None, **named: Any) -> None:
        given = dict(zip(self.FIELDS, values, strict=False))
        twice = [key for key in given if key in named]
        if twice or len(values) > len(self.FIELDS):
            raise TypeError(f"{type(self).__name__} takes {', '.join(self.FIELDS)}, each once")
        given.update(named)
        rules = TYPES[self.KIND].fields
        plain = [key for key in self.FIELDS if not rules[key].secret]
        configs = {key: given.get(key) or rules[key].default or None for key in plain}
        hidden = [key for key in (*self.FIELDS, *_OPTIONAL_SECRETS) if key in rules and rules[key].secret]
        secrets = {key: str(given[key]) for key in hidden if given.get(key)}
        missing = [key for key in plain if rules[key].required and not configs[key]]
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}")
        super().__init__(name=name, configs=configs, secrets=secrets)

    def __getattr__(self, key: str) -> Any:
        if key in type(self).FIELDS and key not in self.configs and key not in self.secrets:
            return None
        return super().__getattr__(key)

    def __setattr__(self, key: str, value: Any) -> None:
        if key not in type(self).FIELDS:
            super().__setattr__(key, value)
        elif TYPES[self.KIND].fields[key].secret:
            self.secrets[key] = value
        else:
            self.configs[key] = value

    def get_token(self) -> str:
        """Return the token of a connection that signs in with one.

        Raises:
            ConnectionFault: when it has none.
        """
        if not self.secrets.get("token"):
            raise ConnectionFault(
                f"the connection '{self.name}' has no token",
                expected=f"auth_mode: {_TOKEN_MODE} and a token",
            )
        return self.secrets["token"]


class AzureOpenAIConnection(FixedConnection):
    """Azure OpenAI."""

    TYPE = "AzureOpenAI"
    KIND = "azure_open_ai"
    FIELDS = ("api_base", "api_key", "api_type", "api_version", "auth_mode", "resource_id")

    @classmethod
    def from_env(cls, name: str | None = None) -> Self:
        """Return a connection of ``AZURE_OPENAI_ENDPOINT``, ``AZURE_OPENAI_API_KEY`` and ``OPENAI_API_VERSION``.

        Raises:
            ConnectionFault: when one of the first two is not set.
        """
        endpoint, key = _variables(cls, "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY")
        version = Environment.load(Path.cwd()).get("OPENAI_API_VERSION")
        return cls(endpoint, key, name=name, api_version=version)


class OpenAIConnection(FixedConnection):
    """OpenAI, or a server that speaks like it."""

    TYPE = "OpenAI"
    KIND = "open_ai"
    FIELDS = ("api_key", "organization", "base_url")

    @classmethod
    def from_env(cls, name: str | None = None) -> Self:
        """Return a connection of ``OPENAI_API_KEY``, ``OPENAI_ORG_ID`` and ``OPENAI_BASE_URL``.

        Raises:
            ConnectionFault: when the first is not set.
        """
        (key,) = _variables(cls, "OPENAI_API_KEY")
        environment = Environment.load(Path.cwd())
        return cls(key, environment.get("OPENAI_ORG_ID"), environment.get("OPENAI_BASE_URL"), name=name)


class ServerlessConnection(FixedConnection):
    """A model served by Azure, called like OpenAI."""

    TYPE = "Serverless"
    KIND = "serverless"
    FIELDS = ("api_key", "api_base")


class CognitiveSearchConnection(FixedConnection):
    """Azure AI Search."""

    TYPE = "CognitiveSearch"
    KIND = "cognitive_search"
    FIELDS = ("api_base", "api_key", "api_type", "api_version", "auth_mode")


class AzureAIServicesConnection(FixedConnection):
    """Azure AI services."""

    TYPE = "AzureAIServices"
    KIND = "azure_ai_services"
    FIELDS = ("endpoint", "api_key", "auth_mode")


class AzureContentSafetyConnection(FixedConnection):
    """Azure AI content safety."""

    TYPE = "AzureContentSafety"
    KIND = "azure_content_safety"
    FIELDS = ("api_key", "endpoint", "api_version", "api_type")


class FormRecognizerConnection(FixedConnection):
    """Azure document intelligence."""

    TYPE = "FormRecognizer"
    KIND = "form_recognizer"
    FIELDS = ("api_key", "endpoint", "api_version", "api_type")


class SerpConnection(FixedConnection):
    """Serp API."""

    TYPE = "Serp"
    KIND = "serp"
    FIELDS = ("api_key", "api_base")


class QdrantConnection(FixedConnection):
    """Qdrant."""

    TYPE = "Qdrant"
    KIND = "qdrant"
    FIELDS = ("api_key", "api_base")


class WeaviateConnection(FixedConnection):
    """Weaviate."""

    TYPE = "Weaviate"
    KIND = "weaviate"
    FIELDS = ("api_key", "api_base")


class CustomConnection(PromptflowConnection):
    """Any keys, plain and secret; each is an attribute too."""

    TYPE = "Custom"

    def __init__(
        self,
        secrets: Mapping[str, str] | None = None,
        configs: Mapping[str, Any] | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        super().__init__(name=name, configs=configs, secrets=secrets)

    def is_secret(self, item: str) -> bool:
        """Return whether a key is among the secrets."""
        return item in self.secrets


class _Key:
    """One annotated field of a strong type: what is given wins over the default of the class."""

    def __init__(self, name: str, *, secret: bool) -> None:
        self._name = name
        self._secret = secret

    def __get__(self, instance: CustomStrongTypeConnection | None, owner: type) -> Any:
        return self if instance is None else instance[self._name]

    def __set__(self, instance: CustomStrongTypeConnection, value: Any) -> None:
        if self._secret:
            instance.secrets[self._name] = value
        else:
            instance.configs[self._name] = value


class CustomStrongTypeConnection(CustomConnection):
    """Base of the user's own types: an annotated field is a key, one annotated `Secret` a secret one.

    Raises:
        ConnectionFault: for a field without default that is not given.
    """

    _required: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        """Make each annotated field one that reads the connection."""
        super().__init_subclass__(**more)
        annotations = inspect.get_annotations(cls)
        own = {name: cls.__dict__[name] for name in annotations if name in cls.__dict__}
        cls._defaults = {**cls._defaults, **own}
        cls._required = (*cls._required, *(name for name in annotations if name not in own))
        for name, annotation in annotations.items():
            kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
            setattr(cls, name, _Key(name, secret=kind.rpartition(".")[2] == "Secret"))

    def __init__(
        self,
        secrets: Mapping[str, str] | None = None,
        configs: Mapping[str, Any] | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        given = {**(secrets or {}), **(configs or {})}
        missing = [key for key in self._required if key not in given]
        if missing:
            raise ConnectionFault(
                f"the connection '{name}' has no '{missing[0]}', which {type(self).__name__} needs",
                expected=", ".join((*self._required, *self._defaults)),
                fix="add it under configs or secrets of the connection",
            )
        defaults = {key: value for key, value in self._defaults.items() if key not in given}
        super().__init__(secrets=secrets, configs={**defaults, **(configs or {})}, name=name)


def _variables(owner: type, *names: str) -> tuple[str, ...]:
    environment = Environment.load(Path.cwd())
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise ConnectionFault(
            f"{owner.__name__}.from_env reads {missing[0]}, which is not set", fix=f"export {missing[0]}=..."
        )
    return tuple(environment[name] for name in names)
