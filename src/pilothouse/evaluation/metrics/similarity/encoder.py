"""Token vectors of an encoder on this machine, as the matching of texts wants them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError
from pilothouse.core.packages import user_cache
from pilothouse.evaluation.metrics.similarity.matching import Tokens, unit
from pilothouse.models.providers.encoder import MOST_TOKENS, OFFLINE
from pilothouse.models.providers.encoder import Encoder as ModelEncoder

_KEPT: Final = 512


class Encoder(ModelEncoder):
    """An encoder that keeps the token vectors of the last texts. Calls may overlap."""

    def __init__(self, model: Path, tokenizer: Path, most: int = MOST_TOKENS) -> None:
        super().__init__(model, tokenizer, most)
        self._kept: OrderedDict[str, Tokens] = OrderedDict()
        self._lock = threading.Lock()

    def tokens(self, text: str) -> Tokens:
        """Return the tokens of a text with their vectors."""
        with self._lock:
            kept = self._kept.get(text)
            if kept is not None:
                self._kept.move_to_end(text)
                return kept
        made = self._encode(text)
        with self._lock:
            self._kept[text] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made

    def _encode(self, text: str) -> Tokens:
        vectors, found = self.vectors(text)
        return Tokens(
            ids=tuple(found.ids),
            own=tuple(not special for special in found.special_tokens_mask),
            vectors=unit(vectors),
            cut=sum(len(rest.ids) - sum(rest.special_tokens_mask) for rest in found.overflowing),
        )


def open_encoder(root: Path, name: str, *, download: bool, most: int) -> Encoder:
    """Return the encoder that an option names: ``minilm``, or a folder of the project or of the machine.

    Raises:
        ConfigError: see `Encoder`.
    """
    if name == OFFLINE:
        return Encoder.offline(user_cache(Environment.load(root)), download=download, most=most)
    if not (root / name).is_dir():
        raise ConfigError(
            f"there is no encoder '{name}'",
            where=str(root / name),
            expected=f"{OFFLINE}, or a folder with model.onnx and tokenizer.json",
        )
    return Encoder.of_folder(root / name, most)
