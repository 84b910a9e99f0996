"""The same task in three wordings: do length, sentences and form of the answer stay the same?"""

from __future__ import annotations

from pilothouse.evaluation.suites.types import Check, Measure, Prompt, Suite

_TASKS = (
    "how to water a cactus", "how to write a thank-you note", "why the sky looks blue", "how to boil an egg",
    "how to greet a new colleague", "why bread rises", "how to pack a suitcase", "how to choose a pumpkin",
    "why ships float", "how to clean a window", "how to plan a birthday", "why leaves fall in autumn",
    "how to sharpen a pencil", "how to calm a barking dog", "why we sneeze", "how to store potatoes",
    "how to sew on a button", "why the moon changes its shape", "how to end a letter", "how to name a file",
)  # fmt: skip
_WORDINGS = (
    "Explain {task} in two sentences.",
    "In two sentences, tell me {task}.",
    "Please explain {task}. Use two sentences.",
)


def _prompts(_seed: int) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(
            id=f"task{number:02}-{place}",
            question=wording.format(task=task),
            cluster=f"task{number:02}",
            group=f"task{number:02}",
            check=Check(kind="plain"),
        )
        for number, task in enumerate(_TASKS, 1)
        for place, wording in enumerate(_WORDINGS, 1)
    )


SUITE = Suite(
    name="style",
    about="length, sentences and form stay the same when a task is worded otherwise",
    prompts=_prompts,
    measures=(
        Measure(name="form differs", kind="spread", score="form"),
        Measure(name="length differs by half", kind="spread", score="length", limit=0.3),
        Measure(name="sentences differ by half", kind="spread", score="sentences", limit=0.3),
    ),
)
