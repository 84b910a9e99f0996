"""Labels, agreement and preference in words, the same in the terminal and on pages."""

from __future__ import annotations

from pilothouse.evaluation.annotation.agreement import Agreement, Pair
from pilothouse.evaluation.annotation.preference import Preference
from pilothouse.evaluation.annotation.question import Question, Side, Value
from pilothouse.evaluation.annotation.types import Item
from pilothouse.evaluation.calibration.wording import share_in_words
from pilothouse.evaluation.types import Interval
from pilothouse.experiments.reports.visible import reveal

_DECISIONS = {
    "unanimous": "all said the same",
    "most": "most said the same",
    "median": "the median",
    "adjudicated": "adjudicated",
    "single": "one label",
    "divided": "divided",
    "none": "not labelled",
}


def word_seen(question: Question, value: Value, first: Side | None) -> str:
    """Return a label in the words of the one who gave it; of a pair, by place."""
    if question.kind != "pairwise":
        return reveal(question.word(value))
    key = question.key_of(value, first)
    return next(choice.meaning for choice in question.choices if choice.key == key)


def opinion(question: Question, item: Item, first: Side | None) -> str | None:
    """Return what the judge said of an item; None when it said nothing."""
    if item.opinion is None:
        return None
    value = int(item.opinion) if question.kind == "ordinal" else item.opinion
    said = word_seen(question, value, first)
    return f"the judge says {said}" + (f": {reveal(' '.join(item.reason.split()))}" if item.reason else "")


def lines(told: Agreement) -> list[tuple[str, str]]:
    """Return the figures of agreement, a name and a text each."""
    rows = [("all say the same", share_in_words(told.same))]
    if told.alpha is not None:
        rows.append((f"alpha ({told.level})", f"{told.alpha:.2f}{_range(told.alpha_interval)}"))
    rows += [(f"{reveal(pair.first)} and {reveal(pair.second)}", _pair(pair)) for pair in told.pairs]
    if told.judge is not None:
        rows.append((f"people and {reveal(told.judge.second)}", _pair(told.judge)))
    rows.append(("items", ", ".join(f"{_DECISIONS[name]} {count:,}" for name, count in told.decisions.items())))
    return rows


def labels_in_words(told: Agreement) -> str:
    """Return how often each final label occurs."""
    return ", ".join(f"{reveal(word)} {count:,}" for word, count in told.labels.items()) or "texts"


def preference_lines(found: Preference, candidate: str, baseline: str) -> list[tuple[str, str]]:
    """Return what labels of pairs say, a name and a text each."""
    names = reveal(candidate), reveal(baseline)
    verdict = {"better": f"{names[0]} is better", "worse": f"{names[1]} is better", "inconclusive": "inconclusive"}
    rows = [
        ("verdict", f"{verdict[found.verdict]} (exact sign test over items, p = {found.p_value:.3f})"),
        ("items", f"{names[0]} wins {found.wins:,}, {names[1]} wins {found.losses:,}, ties {found.ties:,}"),
    ]
    if found.net is not None:
        rows.append(("wins less losses", f"{found.net:+.2f}{_range(found.interval, sign='+')}"))
    if found.win_rate is not None:
        rows.append((f"win rate of {names[0]}", f"{found.win_rate:.2f}{_range(found.win_interval)}"))
    place = found.position
    decided = place.first + place.second
    if decided:
        share = f"{place.first / decided:.2f}{_range(place.interval)}"
        rows.append(("answer 1 was chosen", f"{share}, {place.first:,} of {decided:,} items, p = {place.p_value:.3f}"))
    if found.note:
        rows.append(("note", found.note))
    return rows


def _pair(pair: Pair) -> str:
    kappa = "" if pair.kappa is None else f"; kappa {pair.kappa:.2f}{_range(pair.interval)}"
    few = ", too few" if pair.state == "too few" else ""
    return f"{share_in_words(pair.same)}{kappa}{few}"


def _range(interval: Interval | None, sign: str = "") -> str:
    return "" if interval is None else f" [{interval.low:{sign}.2f}, {interval.high:{sign}.2f}]"
