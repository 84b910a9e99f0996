"""A flow's YAML file: its mappings, texts, flags and choices, checked where they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.core.yaml import Document

Key = str | int
Mapping = dict[str, Any]

FLOW_KEYS = (
    *("$schema", "id", "name", "display_name", "description", "tags", "type", "language", "inputs", "outputs"),
    *("nodes", "node_variants", "tools", "environment", "environment_variables", "additional_includes"),
    *("message_format", "entry", "init", "sample", "code", "properties", "flow_type", "author", "version"),
)


class Parser:
    """Reads the entries of one document.

    Args:
        document: The document.
        known: Its keys; empty for any.

    Attributes:
        folder: The flow's folder.
        tools: The legacy inline tools by name.
    """

    def __init__(self, document: Document, known: tuple[str, ...] = FLOW_KEYS) -> None:
        self._document = document
        self.folder: Path = document.path.parent
        self.data = self.mapping((), known)
        self.tools = self._legacy_tools() if known == FLOW_KEYS else {}

    def where(self, *keys: Key) -> str:
        """Return ``file:line`` of an entry."""
        return self._document.where(*keys)

    def at(self, keys: tuple[Key, ...]) -> Any:
        """Return what stands at ``keys``, or None."""
        value = self._document.data
        for key in keys:
            if isinstance(value, dict):
                value = cast("dict[Key, Any]", value).get(key)
            elif isinstance(value, list) and isinstance(key, int):
                value = cast("list[Any]", value)[key]
            else:
                return None
        return value

    def mapping(self, keys: tuple[Key, ...], known: tuple[str, ...] = ()) -> Mapping:
        """Return the mapping at ``keys``, empty when nothing is there; other keys than ``known`` are refused."""
        value = self.at(keys)
        if value is None:
            return {}
        if not isinstance(value, dict):
            place = ".".join(map(str, keys)) or "a flow"
            raise FlowError(f"{place} is not a mapping", where=self.where(*keys), expected="key: value")
        for key in cast("dict[Key, Any]", value):
            if known and key not in known:
                raise FlowError(
                    f"unknown key '{key}'", where=self.where(*keys, key), expected=nearest_hint(str(key), known)
                )
        return {str(key): item for key, item in cast("dict[Key, Any]", value).items()}

    def text(self, fields: Mapping, keys: tuple[Key, ...], key: str) -> str | None:
        """Return the text under ``key``; a number or a date is taken as it is written."""
        value = fields.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, dict | list):
            raise FlowError(f"{key} is not a text", where=self.where(*keys, key))
        return str(value)

    def flag(self, fields: Mapping, keys: tuple[Key, ...], key: str) -> bool:
        """Return the truth value under ``key``, False when there is none."""
        value = fields.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise FlowError(f"{key} is {value!r}", where=self.where(*keys, key), expected="true or false")

    def choice(self, fields: Mapping, keys: tuple[Key, ...], key: str, known: tuple[str, ...], default: str) -> Any:
        """Return the word under ``key``, which must be one of ``known``."""
        value = fields.get(key)
        if value is None:
            return default
        if value not in known:
            raise FlowError(
                f"the {key} '{value}' is not known",
                where=self.where(*keys, key),
                expected=nearest_hint(str(value), known),
            )
        return value

    def _legacy_tools(self) -> dict[str, Mapping]:
        listed: Any = self.data.get("tools") or []
        if not isinstance(listed, list):
            raise FlowError("tools is not a list", where=self.where("tools"))
        tools: dict[str, Mapping] = {}
        for index in range(len(cast("list[Any]", listed))):
            tool = self.mapping(("tools", index))
            tools[str(tool.get("name"))] = tool
        return tools
