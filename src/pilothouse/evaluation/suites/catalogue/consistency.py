"""The same closed question again and again: does the answer stay the same?"""

from __future__ import annotations

from pilothouse.evaluation.suites.types import Check, Measure, Prompt, Suite

_YES_NO = (
    "Is a tomato a fruit in botany?",
    "Is it sensible to apologise to a customer whose parcel is late?",
    "Should a two-line note to a colleague have a heading?",
    "Is 91 a prime number?",
    "Does a refund usually need a receipt?",
    "Is the sentence 'Great, it broke again' a complaint?",
    "May a shop close on a public holiday?",
    "Is 'see you at eight' a clear time without a date?",
    "Is a bicycle a motor vehicle?",
    "Would you call a delay of four weeks short?",
)
_ONE_OF = (
    ("Is the message 'Where is my parcel?' about delivery, payment or returns?", ("delivery", "payment", "returns")),
    ("Is 'I was charged twice' about delivery, payment or returns?", ("delivery", "payment", "returns")),
    ("Is 'The shoes do not fit' about delivery, payment or returns?", ("delivery", "payment", "returns")),
    ("Is 'Thank you, all is fine' positive, negative or neutral?", ("positive", "negative", "neutral")),
    ("Is 'It works, but it is loud' positive, negative or neutral?", ("positive", "negative", "neutral")),
    ("Is 'The box was blue' positive, negative or neutral?", ("positive", "negative", "neutral")),
    ("Is 'The site is down for everyone' low, medium or high in urgency?", ("low", "medium", "high")),
    ("Is 'A typo on page nine' low, medium or high in urgency?", ("low", "medium", "high")),
    ("Is 'I cannot log in today' low, medium or high in urgency?", ("low", "medium", "high")),
    ("Is 'Please add a dark theme' a bug, a wish or a question?", ("bug", "wish", "question")),
)


def _prompts(_seed: int) -> tuple[Prompt, ...]:
    asked = [(question, ("yes", "no"), "Answer yes or no.") for question in _YES_NO]
    asked += [(question, options, "Answer with one word.") for question, options in _ONE_OF]
    return tuple(
        Prompt(
            id=f"question{number:02}",
            question=f"{question} {how}",
            cluster=f"question{number:02}",
            check=Check(kind="plain", accepted=options),
        )
        for number, (question, options, how) in enumerate(asked, 1)
    )


SUITE = Suite(
    name="consistency",
    about="the same question asked five times gets the same answer",
    prompts=_prompts,
    measures=(
        Measure(name="answers that differ", kind="spread", score="answer"),
        Measure(name="none of the choices", score="wrong"),
    ),
    repeats=5,
)
