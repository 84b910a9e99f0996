"""Sample data: fetched, cleaned, chosen alike on every machine. A stand-in corpus replaces the real one."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pilothouse.core.canonical import digest_bytes
from pilothouse.core.errors import Conflict, DataError, NotFound
from pilothouse.core.packages import PackageFile
from pilothouse.datasets.files import find_files, read_files
from pilothouse.datasets.readers.base import ReadOptions
from pilothouse.datasets.samples import disfl_qa
from pilothouse.datasets.samples.choice import EXAMPLES, choose
from pilothouse.datasets.samples.service import SAMPLES, SampleService
from pilothouse.datasets.samples.sms_spam import SMS_SPAM, clean
from pilothouse.datasets.samples.types import SampleRow

CORPUS = (
    "ham\tI&lt;3 you &amp; T&Cs  \n"
    "spam\tWIN \u00a3100 NOW\n"
    "ham\tI<3 you & T&Cs\n"
    "ham\tit\x92s  fine\n"
    "ham\t \n" + "".join(f'{"ham" if n % 3 else "spam"}\tmessage {n}, "quoted"\n' for n in range(60))
)


@pytest.fixture
def samples(tmp_path: Path) -> SampleService:
    """The corpus has been fetched already: a file with the right hash is not fetched again."""
    content = CORPUS.encode()
    file = PackageFile(
        requirement="tinydata==1.0",
        wheel_sha256="0" * 64,
        member="tinydata/corpus.tsv",
        sha256=digest_bytes(content),
        size=len(content),
    )
    fetched = tmp_path / "cache" / "sms-spam" / "corpus.tsv"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(content)
    return SampleService(tmp_path / "cache", {"sms-spam": msgspec.structs.replace(SMS_SPAM, file=file)})


def rows(path: Path) -> list[dict[str, Any]]:
    return [record.data for record in read_files(find_files(path), ReadOptions())]


def test_cleaning_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "corpus.tsv"
    path.write_text(CORPUS, encoding="utf-8")

    cleaned = clean(path)

    assert [(row.id, row.label, row.data["text"]) for row in cleaned.rows[:3]] == [
        ("sms-0001", "ham", "I<3 you & T&Cs"),
        ("sms-0002", "spam", "WIN £100 NOW"),
        ("sms-0004", "ham", "it’s fine"),
    ]
    assert len(cleaned.rows) == 63
    assert list(cleaned.done.values()) == [2, 1, 3, 1, 1]


def test_a_file_that_is_not_the_corpus(tmp_path: Path) -> None:
    path = tmp_path / "corpus.tsv"
    path.write_text("ham\tfine\nhamster\tno\n")

    with pytest.raises(DataError) as caught:
        clean(path)
    assert caught.value.where == f"{path}:2"


def test_a_pull_writes_data_examples_and_a_note(samples: SampleService, tmp_path: Path) -> None:
    pulled = samples.pull("sms-spam", tmp_path / "data", rows=10)

    data, examples = rows(pulled.rows), rows(pulled.examples)
    assert pulled.labels == {"ham": 5, "spam": 5}
    assert [row["label"] for row in data] == ["ham", "spam"] * 5
    assert [row["label"] for row in examples] == ["ham", "spam"] * EXAMPLES
    assert not {row["id"] for row in data} & {row["id"] for row in examples}
    assert set(data[0]) == {"id", "text", "label"}
    note = pulled.readme.read_text(encoding="utf-8")
    for words in (
        "SMS Spam Collection",
        "Almeida",
        "without a warranty",
        "exact duplicates left out: 1",
        "tinydata==1.0",
    ):
        assert words in note
    assert "://" not in note


QUESTIONS = """\
{"passage": "The Rhine ( German : Rhein ) isn ' t long .", "question": "What is no where is it ?", "answer": "here"}
{"passage": "The Rhine ( German : Rhein ) isn ' t long .", "question": "Who was it ?", "answer": "unknown"}
{"passage": "Another one .", "question": "What is no where is it ?", "answer": "there"}
{"passage": "Another one .", "question": "And now ?", "answer": "there ' s none"}
"""


def test_questions_name_the_document_that_answers_them(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(QUESTIONS)

    cleaned = disfl_qa.clean(path)

    first, second = cleaned.documents
    assert (first.text, second.text) == ("The Rhine (German: Rhein) isn't long.", "Another one.")
    assert [row.data for row in cleaned.rows] == [
        {"question": "What is no where is it?", "answer": "here", "document": first.id},
        {"question": "And now?", "answer": "there's none", "document": second.id},
    ]
    assert list(cleaned.done.values()) == [1, 1]


def test_a_line_that_is_no_question(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(QUESTIONS + '{"passage": 3}\n')

    with pytest.raises(DataError, match="no question") as caught:
        disfl_qa.clean(path)
    assert caught.value.where == f"{path}:5"


def test_documents_are_written_beside_the_questions(tmp_path: Path) -> None:
    content = "".join(
        f'{{"passage": "text {n % 7}", "question": "question {n}", "answer": "{n}"}}\n' for n in range(30)
    ).encode()
    file = PackageFile(
        requirement="tinydata==1.0",
        wheel_sha256="0" * 64,
        member="tinydata/questions.jsonl",
        sha256=digest_bytes(content),
        size=len(content),
    )
    fetched = tmp_path / "cache" / "disfl-qa" / "questions.jsonl"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(content)
    sample = msgspec.structs.replace(disfl_qa.DISFL_QA, file=file)
    pulled = SampleService(tmp_path / "cache", {"disfl-qa": sample}).pull("disfl-qa", tmp_path / "data", rows=10)

    assert pulled.labels == {"": 10}
    assert pulled.documents is not None
    texts = {row["id"] for row in rows(pulled.documents)}
    assert len(texts) == 7
    assert {row["document"] for row in rows(pulled.rows)} <= texts
    assert "10 rows" in pulled.readme.read_text(encoding="utf-8")


def test_fewer_rows_begin_more(samples: SampleService, tmp_path: Path) -> None:
    few = samples.pull("sms-spam", tmp_path / "few", rows=6)
    more = samples.pull("sms-spam", tmp_path / "more", rows=20)

    assert rows(more.rows)[:6] == rows(few.rows)
    assert rows(more.examples) == rows(few.examples)


def test_the_choice_does_not_depend_on_the_order_of_the_corpus() -> None:
    corpus = [SampleRow(id=str(n), data={"text": f"text {n}"}, label="ham" if n % 2 else "spam") for n in range(100)]

    assert choose(corpus, 20) == choose(corpus[::-1], 20)


def test_pulled_again_nothing_changes(samples: SampleService, tmp_path: Path) -> None:
    first = samples.pull("sms-spam", tmp_path / "data", rows=10)
    again = samples.pull("sms-spam", tmp_path / "data", rows=10)

    assert (first.is_new, again.is_new) == (True, False)


def test_a_file_of_the_user_is_not_replaced(samples: SampleService, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")

    with pytest.raises(Conflict, match="exists already") as caught:
        samples.pull("sms-spam", tmp_path, rows=10)
    assert caught.value.where == str(tmp_path / "README.md")
    assert not (tmp_path / "sms_spam.csv").exists()

    assert samples.pull("sms-spam", tmp_path, rows=10, force=True).is_new
    assert (tmp_path / "README.md").read_text() != "mine"


@pytest.mark.parametrize("count", [1, 35, 10_000])
def test_a_number_of_rows_that_cannot_be(samples: SampleService, tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError, match=f"{count} rows") as caught:
        samples.pull("sms-spam", tmp_path / "data", rows=count)
    assert caught.value.expected == "from 2 to 34"
    assert not (tmp_path / "data").exists()


def test_a_sample_nobody_has(samples: SampleService, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        samples.pull("sms_spam", tmp_path)
    assert caught.value.expected == "did you mean 'sms-spam'?"


def test_every_sample_states_its_source_and_terms(services: Any) -> None:
    assert services.get(SampleService).list() == tuple(SAMPLES.values())
    for sample in SAMPLES.values():
        assert sample.licence
        assert sample.terms
        assert sample.citation
        assert len(sample.file.wheel_sha256) == len(sample.file.sha256) == 64
