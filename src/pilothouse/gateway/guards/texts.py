"""The texts of a JSON body: taken out in order, put back where they stood. One visitor for all wires and stages."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from pilothouse.gateway.guards.shapes import Shape

_SHORTEST_NUMBER = 100_000_000


class Slot:
    """A place of a text.

    Attributes:
        text: What stands there; assign to change it.
    """

    __slots__ = ("_container", "_is_key", "_key", "_original", "text")

    def __init__(self, container: Any, key: Any, text: str, *, is_key: bool = False) -> None:
        self._container = container
        self._key = key
        self._is_key = is_key
        self._original = text
        self.text = text

    def write(self) -> bool:
        """Put the text back; tell whether it has changed."""
        if self.text == self._original:
            return False
        if not self._is_key:
            self._container[self._key] = self.text
            return True
        # An object keeps its order, and two keys that have become alike both stay.
        name, count = self.text, 1
        while name in self._container:
            count += 1
            name = f"{self.text}_{count}"
        items = [(name if key == self._key else key, value) for key, value in self._container.items()]
        self._container.clear()
        self._container.update(items)
        return True


class Texts:
    """The texts of one or more values.

    Attributes:
        slots: In the order of the body.
    """

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self._packed: list[tuple[Any, Any, Any, int, int]] = []

    def look(self, value: Any, shape: Shape) -> None:
        """Take the texts of a decoded body.

        Raises:
            RecursionError: for a body nested too deep.
        """
        self._walk(value, shape, top=shape.top)

    def look_at(self, container: dict[str, Any], key: str, shape: Shape) -> None:
        """Take the texts that stand under one key of an object."""
        self._entry(container, key, container[key], shape)

    def look_everywhere(self, container: Any, key: Any) -> None:
        """Take every string, long number and key of a value."""
        self._everything(container, key, container[key])

    def write(self) -> bool:
        """Put all texts back; tell whether anything has changed."""
        # Keys are renamed last, innermost first: until then the slots inside find their places.
        written = [slot.write() for slot in reversed(self.slots)]
        written.reverse()
        for container, key, value, begin, end in self._packed:
            if any(written[begin:end]):
                container[key] = msgspec.json.encode(value[0]).decode()
        return any(written)

    def _walk(self, value: Any, shape: Shape, top: frozenset[str] | None = None) -> None:
        if isinstance(value, dict):
            entries = cast("dict[str, Any]", value)
            for key, item in entries.items():
                if (top is None or key in top) and key not in shape.skip:
                    self._entry(entries, key, item, shape)
        elif isinstance(value, list):
            for item in cast("list[Any]", value):
                self._walk(item, shape)

    def _entry(self, container: dict[str, Any], key: str, value: Any, shape: Shape) -> None:
        if isinstance(value, str):
            if key in shape.arguments:
                self._unpack(container, key, value)
            elif key in shape.values or (key in shape.texts and _is_text(container, key)):
                self.slots.append(Slot(container, key, value))
        elif key in shape.values:
            self._everything(container, key, value)
        elif isinstance(value, list) and key in shape.texts:
            items = cast("list[Any]", value)
            for index, item in enumerate(items):
                if isinstance(item, str):
                    self.slots.append(Slot(items, index, item))
                else:
                    self._walk(item, shape)
        else:
            self._walk(value, shape)

    def _unpack(self, container: Any, key: Any, text: str) -> None:
        """Take the texts out of a JSON document in a string; what is no document is a text itself."""
        try:
            value = [msgspec.json.decode(text)]
        except (msgspec.DecodeError, RecursionError):
            self.slots.append(Slot(container, key, text))
            return
        begin = len(self.slots)
        self._everything(value, 0, value[0])
        self._packed.append((container, key, value, begin, len(self.slots)))

    def _everything(self, container: Any, key: Any, value: Any) -> None:
        if isinstance(value, str):
            self.slots.append(Slot(container, key, value))
        elif isinstance(value, dict):
            entries = cast("dict[str, Any]", value)
            for name, item in entries.items():
                self.slots.append(Slot(entries, name, name, is_key=True))
                self._everything(entries, name, item)
        elif isinstance(value, list):
            items = cast("list[Any]", value)
            for index, item in enumerate(items):
                self._everything(items, index, item)
        elif isinstance(value, int) and abs(value) >= _SHORTEST_NUMBER:
            self.slots.append(Slot(container, key, str(value)))


def _is_text(container: dict[str, Any], key: str) -> bool:
    """Tell texts from base64: ``data`` is text only in a source that says so."""
    return key != "data" or container.get("type", "text") == "text"


def without_logprobs(value: Any) -> None:
    """Take log probabilities out of an answer whose text was changed: they repeat it token by token."""
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value)
        for key, item in entries.items():
            if key in {"logprobs", "top_logprobs"} and isinstance(item, dict | list):
                entries[key] = [] if isinstance(item, list) else None
            else:
                without_logprobs(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            without_logprobs(item)
