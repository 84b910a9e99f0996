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
from pilothouse.datasets.samples.disfl_qa import DISFL_QA
from pilothouse.datasets.samples.sms_spam import SMS_SPAM
from pilothouse.datasets.samples.types import Cleaned, Document, PulledSample, Sample, SampleRow, counted

ROWS = 80
"""Rows of a sample when nobody says how many."""

SAMPLES: dict[str, Sample] = {sample.name: sample for sample in (DISFL_QA, SMS_SPAM)}


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
        files = {name: folder / f"{sample.stem}{name}.csv" for name in ("", "_examples", "_documents")}
        readme = folder / "README.md"
        contents = {files[""]: _rows(data), files["_examples"]: _rows(examples)}
        if cleaned.documents:
            contents[files["_documents"]] = _documents(cleaned.documents)
        contents[readme] = _readme(sample, cleaned, data).encode()
        is_new = _write(contents, force=force)
        return PulledSample(
            name=sample.name,
            licence=sample.licence,
            rows=files[""],
            examples=files["_examples"],
            documents=files["_documents"] if cleaned.documents else None,
            readme=readme,
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


def _rows(rows: Sequence[SampleRow]) -> bytes:
    return _csv([("id", *rows[0].data), *((row.id, *row.data.values()) for row in rows)])


def _documents(documents: Sequence[Document]) -> bytes:
    return _csv([("id", "text"), *((document.id, document.text) for document in documents)])


def _csv(lines: Sequence[Sequence[str]]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(lines)
    return sink.getvalue().encode()


def _counts(rows: Sequence[SampleRow]) -> str:
    return counted(Counter(row.label for row in rows))


def _readme(sample: Sample, cleaned: Cleaned, data: Sequence[SampleRow]) -> str:
    each = len({row.label for row in data})
    columns = ",".join(("id", *data[0].data))
    texts = f"| `{sample.stem}_documents.csv` | {len(cleaned.documents)} | texts to search: `id,text` |\n"
    done = "\n".join(f"- {what}: {count:,}" for what, count in cleaned.done.items())
    return f"""# {sample.title}

{sample.about}

| file | rows | what |
|---|---|---|
| `{sample.stem}.csv` | {_counts(data)} | data: `{columns}` |
| `{sample.stem}_examples.csv` | {EXAMPLES * each} | examples to show a model; none is in the data |
{texts if cleaned.documents else ""}
## Source and terms

File `{sample.file.member}`
of the Python package `{sample.file.requirement}` (SHA-256 `{sample.file.sha256}`).

{sample.terms}

{sample.citation}

## What was done

{done}

Left: {_counts(cleaned.rows)}. From these the data were chosen, equally many of each label where rows have
labels, in the order of the SHA-256 of their first column: every machine chooses alike, and fewer rows begin more.
The number in an `id` is the line of the original.

More rows: `pilothouse dataset pull {sample.name} --rows 200 --force`
"""
