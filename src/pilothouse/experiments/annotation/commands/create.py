"""`review create`: a queue from a run, an experiment or data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from msgspec import to_builtins

from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.core.structs import convert
from pilothouse.core.terminal import console, emit_json
from pilothouse.core.yaml import load_yaml
from pilothouse.evaluation.annotation.question import Kind, Question
from pilothouse.experiments.annotation.commands import options
from pilothouse.experiments.annotation.commands.printing import facts
from pilothouse.experiments.annotation.service import QueueMaker
from pilothouse.experiments.annotation.types import Ask, Filters
from pilothouse.experiments.runs.runfile import named, parse_pairs

_KINDS = ("binary", "ordinal", "categories", "pairwise", "text")


@click.command()
@click.argument("name")
@click.option("--run", default="", metavar="RUN", help="Judge the answers of a run.")
@click.option("--experiment", default="", metavar="REF", help="Judge the answers of an experiment's variant.")
@click.option("--data", default="", metavar="FILE|dataset:NAME", help="Judge rows of data as they are.")
@click.option("--variant", default="", help="The variant; the baseline by default. Of a pair, the candidate.")
@click.option("--against", default="", metavar="NAME", help="Compare blindly with this variant, or this run.")
@click.option("--question", "text", help="What is asked of every item.")
@click.option("--kind", type=click.Choice(_KINDS), help="Which answers there are.  [default: what the options say]")
@click.option("--level", "levels", multiple=True, metavar="N=MEANING", help="A level, such as 1='useless'.")
@click.option("--category", "categories", multiple=True, metavar="NAME[=MEANING]", help="A category.")
@click.option("--guidance", default="", help="What to look at and what to leave aside.")
@click.option("--rubric", type=click.Path(path_type=Path), help="A YAML file with question, kind, levels, guidance.")
@click.option("--judge", default="", help="Ask what this judge is asked, and hold its opinions against the labels.")
@click.option("--reveal", is_flag=True, help="Show the judge's opinion once an item is labelled.")
@click.option("--inputs", default="", metavar="A,B", help="The inputs that are shown; all by default.")
@click.option("--outputs", default="", metavar="A,B", help="The outputs that are shown; of data, the answer's columns.")
@click.option("--reference", default="", metavar="A,B", help="Columns of the data that say what is right.")
@click.option("--overlap", type=click.IntRange(1), default=1, show_default=True, help="Labels that an item wants.")
@click.option("--sample", type=click.IntRange(1), help="At most so many rows, at random.")
@click.option("--failed", is_flag=True, help="Only rows without an answer.")
@click.option("--score", "scores", multiple=True, metavar="NAME<0.5", help="Only rows with such a score.")
@click.option("--disagree", is_flag=True, help="Only rows that the variants answer differently.")
@click.option("--abstained", default="", metavar="NAME", help="Only rows of which this evaluator gave no score.")
@click.option("--must-pass", is_flag=True, help="Only rows that the experiment's gate says have to be right.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of the order, the sides and the sample.")
@click.option("--lease", type=click.FloatRange(0.01), default=30.0, show_default=True, help="Minutes an item is kept.")
@options.as_json
@click.pass_obj
def create(services: Services, name: str, as_json: bool, **given: Any) -> None:
    """Make the queue NAME of rows that people label.

    What is shown is copied now: a run that changes later does not change what was judged. With several conditions, a
    row has to fit all of them.

    With --against, each item shows two answers side by side without saying which is which.
    """
    ask = Ask(
        name=name,
        question=_question(services, given),
        reveals=given["reveal"],
        inputs=_names(given["inputs"]),
        outputs=_names(given["outputs"]),
        reference=_names(given["reference"]),
        lease=given["lease"] * 60.0,
        filters=Filters(
            **{key: given[key] for key in ("failed", "scores", "disagree", "abstained", "must_pass", "sample")}
        ),
        **{key: given[key] for key in ("run", "experiment", "data", "variant", "against", "judge", "overlap", "seed")},
    )
    queue = services.get(QueueMaker).create(ask)
    if as_json:
        emit_json(to_builtins(queue, str_keys=True))
        return
    out = console()
    out.print(facts(queue))
    told = f"label it: pilothouse review label {queue.name}   or in a browser: pilothouse review serve {queue.name}"
    out.print(told, markup=False, soft_wrap=True)


def _question(services: Services, given: dict[str, Any]) -> Question | None:
    """Return the question that the options ask; None where they leave it to the judge."""
    if given["rubric"] is not None:
        if given["text"] or given["levels"] or given["categories"] or given["kind"] or given["guidance"]:
            raise ConfigError("the question is in the file", fix="leave out --question, --kind, --level, --guidance")
        document = load_yaml(named(services.root, given["rubric"]))
        return convert(document.data, Question, where=document.where)
    if not given["text"]:
        return None
    levels = parse_pairs(list(given["levels"]), "--level")
    wrong = next((level for level in levels if not level.lstrip("-").isdecimal()), None)
    if wrong is not None:
        raise ConfigError(f"{wrong!a} is no level", where="--level", expected="a whole number: 1='useless'")
    categories = {name: meaning for name, _, meaning in (item.partition("=") for item in given["categories"])}
    return Question(
        question=given["text"],
        kind=given["kind"] or _kind(given),
        levels={int(level): str(meaning) for level, meaning in levels.items()},
        categories=categories,
        guidance=given["guidance"],
    )


def _kind(given: dict[str, Any]) -> Kind:
    if given["levels"]:
        return "ordinal"
    if given["categories"]:
        return "categories"
    return "pairwise" if given["against"] else "binary"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
