"""What can be done with sample data: pull it into a folder."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from pilothouse.core.errors import Conflict, NotFound, nearest_hint
from pilothouse.core.packages import Progress, fetch_package_file, user_cache
from pilothouse.core.services import Services
from pilothouse.core.storage.files import write_atomic
from pilothouse.datasets.samples.choice import EXAMPLES, choose
from pilothouse.datasets.samples.sms_spam import SMS_SPAM
from pilothouse.datasets.samples.types import Cleaned, PulledSample, Sample, SampleRow

ROWS = 80
"""Rows of a sample when nobody says how many."""

SAMPLES: dict[str, Sample] = {sample.name: sample for sample in (SMS_SPAM,)}


class SampleService:
    """Sample data, kept for all projects of the user.

    Args:
        cache: Where fetched originals are kept.
        samples: The corpora that can be pulled, by name.
    """

    def __init__(self, cache: Path, samples: Mapping[str, Sample] = SAMPLES) -> None:
        self._cache = cache
        self._samples = samples

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the sample data of this user."""
        return cls(user_cache(services.settings.environment) / "samples")

    def list(self) -> tuple[Sample, ...]:
        """Return what can be pulled, by name."""
        return tuple(self._samples[name] for name in sorted(self._samples))

    def pull(
        self,
        name: str,
        folder: Path,
        *,
        rows: int = ROWS,
        force: bool = False,
        progress: Progress | None = None,
    ) -> PulledSample:
        """Write a balanced choice of a sample, a few examples apart from it, and a note on both.

        The same sample and number of rows give the same files on every machine.

        Args:
            name: The sample.
            folder: Where the files go.
            rows: How many.
            force: Whether files with other content may be replaced.
            progress: Told the bytes that have arrived, and their total.

        Raises:
            NotFound: when there is no such sample.
            Conflict: when a file stands there with other content; nothing is written then.
            DataError: when there are not so many rows, or what arrives is not what was expected.
            StorageError: when the disk is full or not writable.
        """
        if name not in self._samples:
            raise NotFound(f"there is no sample '{name}'", expected=nearest_hint(name, self._samples))
        sample = self._samples[name]
        original = self._cache / sample.name / Path(sample.file.member).name
        cleaned = sample.clean(fetch_package_file(sample.file, original, progress))
        data, examples = choose(cleaned.rows, rows)
        contents = {
            folder / f"{sample.stem}.csv": _csv(data),
            folder / f"{sample.stem}_examples.csv": _csv(examples),
            folder / "README.md": _readme(sample, cleaned, data).encode(),
        }
        is_new = _write(contents, force=force)
        paths = tuple(contents)
        return PulledSample(
            name=sample.name,
            licence=sample.licence,
            rows=paths[0],
            examples=paths[1],
            readme=paths[2],
            labels=dict(sorted(Counter(row.label for row in data).items())),
            is_new=is_new,
        )


def _write(contents: Mapping[Path, bytes], *, force: bool) -> bool:
    changed = {path: data for path, data in contents.items() if not path.is_file() or path.read_bytes() != data}
    standing = [path for path in changed if path.exists()]
    if standing and not force:
        raise Conflict(
            "this file exists already, with other content",
            where=str(standing[0]),
            fix="--force replaces it, --to FOLDER writes elsewhere",
        )
    for path, data in changed.items():
        write_atomic(path, data)
    return bool(changed)


def _csv(rows: Sequence[SampleRow]) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(("id", "text", "label"))
    writer.writerows((row.id, row.text, row.label) for row in rows)
    return sink.getvalue().encode()


def _readme(sample: Sample, cleaned: Cleaned, data: Sequence[SampleRow]) -> str:
    def counts(rows: Sequence[SampleRow]) -> str:
        return ", ".join(f"{count:,} {label}" for label, count in sorted(Counter(row.label for row in rows).items()))

    done = "\n".join(f"- {what}: {count:,}" for what, count in cleaned.done.items())
    return f"""# {sample.title}

{sample.about}

| file | rows | what |
|---|---|---|
| `{sample.stem}.csv` | {len(data)} ({counts(data)}) | data: `id,text,label` |
| `{sample.stem}_examples.csv` | {EXAMPLES} of each label | examples to show a model; none is in the data |

## Source and terms

File `{sample.file.member}`
of the Python package `{sample.file.requirement}` (SHA-256 `{sample.file.sha256}`).

{sample.terms}

{sample.citation}

## What was done

{done}

Left: {len(cleaned.rows):,} messages ({counts(cleaned.rows)}). From these the rows were chosen: equally many of each
label, in the order of the SHA-256 of the text, so that every machine chooses alike and fewer rows begin more.
The number in an `id` is the line of the original.

More rows: `pilothouse dataset pull {sample.name} --rows 200 --force`
"""
