"""The licence of a model's weights, by its family: what a team has to look at before it chooses."""

from __future__ import annotations

import re
from typing import Final

SERVED_ONLY: Final = "weights not published"

_FAMILIES: Final = tuple(
    (re.compile(pattern), licence)
    for pattern, licence in (
        (r"gpt-oss", "Apache-2.0"),
        (r"smollm", "Apache-2.0"),
        (r"llama-?4", "Llama 4 Community Licence"),
        (r"llama-?3\.3", "Llama 3.3 Community Licence"),
        (r"llama-?3\.2", "Llama 3.2 Community Licence"),
        (r"llama-?3\.1", "Llama 3.1 Community Licence"),
        (r"llama-?3", "Llama 3 Community Licence"),
        (r"llama-?2", "Llama 2 Community Licence"),
        (r"deepseek-(r1|v3)", "MIT"),
        (r"phi-?[34]", "MIT"),
        (r"gemma-?[123]", "Gemma Terms of Use"),
        (r"mixtral|mistral-(7b|nemo)|ministral-3b-2512|magistral-small|devstral-small", "Apache-2.0"),
        (r"command-(a|r)", "CC-BY-NC-4.0"),
        (r"granite", "Apache-2.0"),
        (r"^(gpt-|chatgpt|o[134](-|$)|text-embedding-|davinci|babbage)", SERVED_ONLY),
        (r"claude", SERVED_ONLY),
        (r"gemini", SERVED_ONLY),
        (r"grok-[34]", SERVED_ONLY),
        (r"^(amazon\.)?nova-", SERVED_ONLY),
    )
)


def licence_of(model: str) -> str | None:
    """Return the licence of the weights of a model, by the family that its name tells; None where that is not known.

    A name is no proof: a fine-tuned model may stand under other terms than its family.

    Args:
        model: As requests or responses name it, a folder or vendor before a slash included.
    """
    name = model.rpartition("/")[2].lower()
    return next((licence for pattern, licence in _FAMILIES if pattern.search(name)), None)
