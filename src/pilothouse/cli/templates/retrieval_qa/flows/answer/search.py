"""Full-text search by BM25 over the sentences of a CSV file of documents."""

import csv
import math
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

from pilothouse import tool

DOCUMENTS = Path(__file__).parents[2] / "data" / "disfl_qa_documents.csv"
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"“])")
K1, B = 1.2, 0.75


def words(text):
    return re.findall(r"\w+", text.lower())


class Index:
    """The sentences, the document of each, and how often each word stands in it."""

    def __init__(self, path):
        with path.open(encoding="utf-8", newline="") as file:
            self.chunks = [(row["id"], part) for row in csv.DictReader(file) for part in SENTENCE.split(row["text"])]
        self.counts = [Counter(words(part)) for _, part in self.chunks]
        self.lengths = [counts.total() for counts in self.counts]
        self.mean = sum(self.lengths) / len(self.lengths)
        self.places = {}
        for place, counts in enumerate(self.counts):
            for word in counts:
                self.places.setdefault(word, []).append(place)

    def search(self, question, top_k):
        scores = Counter()
        for word in set(words(question)):
            places = self.places.get(word, [])
            rare = math.log(1 + (len(self.chunks) - len(places) + 0.5) / (len(places) + 0.5))
            for place in places:
                often, length = self.counts[place][word], self.lengths[place] / self.mean
                scores[place] += rare * often * (K1 + 1) / (often + K1 * (1 - B + B * length))
        best = sorted(scores, key=lambda place: (-scores[place], place))[:top_k]
        return [self.chunks[place] for place in best]


@lru_cache
def index():
    return Index(DOCUMENTS)


@tool
def search(question: str, top_k: int) -> dict:
    found = index().search(question, top_k)
    return {
        "documents": list(dict.fromkeys(document for document, _ in found)),
        "text": "\n".join(text for _, text in found),
    }
