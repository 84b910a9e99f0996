"""What is wrong with a prompty is said at load, with file, line and cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.core.errors import FlowError, NotFound
from pilothouse.flows.library import find_flows, locate
from pilothouse.flows.loader import load_flow
from pilothouse.flows.runner import FlowRunner

from .conftest import NAMED, Models, Prompty

REFUSED = {
    "unknown type": ("model:\n  configuration: {type: opnai, model: m}", 3, "did you mean"),
    "type without models": ("model:\n  configuration: {type: serp}", 3, "no models stand behind"),
    "no type": ("model:\n  configuration: {model: m}", 3, "type: azure_openai or openai"),
    "unknown field": ("model:\n  configuration:\n    type: openai\n    modl: m", 5, "did you mean 'model'"),
    "unknown key of the model": ("model:\n  configuration: {connection: a}\n  paramters: {}", 4, "'parameters'"),
    "unknown api": ("model:\n  configuration: {connection: a}\n  api: chta", 4, "did you mean 'chat'"),
    "unknown response": ("model:\n  configuration: {connection: a}\n  response: some", 4, "known: all, first"),
    "parameter of the wrong type": (NAMED + "\n  parameters:\n    temperature: hot", 5, "temperature: double"),
    "configuration that is a list": ("model:\n  configuration: [a]", 3, "not a mapping"),
    "input that is a value": (NAMED + "\ninputs:\n  text: hello", 5, "default: hello"),
    "unknown type of an input": (NAMED + "\ninputs:\n  text: {type: strnig}", 5, "did you mean 'string'"),
    "unknown key of an input": (NAMED + "\ninputs:\n  text: {tpye: string}", 5, "did you mean 'type'"),
    "template language": (NAMED + "\ntemplate: mustache", 4, "model as Prompty 2 has it"),
    "tools": (NAMED + "\ntools: [{name: f, kind: function}]", 4, "OpenAI's form"),
    "sample that is a text": (NAMED + "\nsample: hello", 4, "a mapping"),
    "sample without its file": (NAMED + "\nsample: ${file:gone.json}", 4, "gone.json cannot be read"),
    "sample that is a list": (NAMED + "\nsample: [1]", 4, "not a mapping"),
    "not YAML": ("model: [", 3, "not YAML"),
    "a key that stands twice": ("name: a\nname: b", 3, "stands twice"),
    "v2 api": ("model: {id: m, apiType: embedding}", 2, "chat, completion"),
    "v2 provider": ("model:\n  id: m\n  provider: opnai", 4, "did you mean"),
    "v2 reference without name": ("model: {id: m, connection: {kind: reference}}", 2, "has no name"),
    "v2 kind of connection": ("model: {id: m, connection: {kind: oauth}}", 2, "signs in by itself"),
    "v2 input without name": ("model: m\ninputs:\n  - {kind: string}", 4, "has no name"),
}


@pytest.mark.parametrize(("front", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused_at_load(prompty: Prompty, front: str, line: int, message: str) -> None:
    path = prompty(front)
    with pytest.raises(FlowError, match=message) as error:
        load_flow(path)
    assert f"{path}:{line}" in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "begins with its front matter"),
        (b"user:\nhi", "ask.prompty:1: a prompty begins with"),
        (b"\n---\nname: x\n", "ask.prompty:2: the front matter does not end"),
        (b"---\nname: \xff\n---\n", "is not UTF-8"),
        (b"---\nname: x\n---\nuser:\n{{ a b }}\n", r"ask.prompty:5: the template cannot be read"),
        (b"---\n" + b"- a\n" * 3 + b"---\n", "not a mapping"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "ask.prompty"
    path.write_bytes(text)
    with pytest.raises(FlowError, match=message):
        load_flow(path)


def test_what_is_likely_mistaken_is_noted(prompty: Prompty) -> None:
    front = """
        inptus: {}
        model:
          configuration: {type: openai, model: m, api_key: sk-clear}
        inputs: {more: {type: string}}
        outputs: {a: {type: string}}
        sample: {other: 1}
    """
    notes = "\n".join(load_flow(prompty(front)).notes)
    for expected in ("'inptus' means nothing here: did you mean 'inputs'", "nothing gives 'text'", "in the clear"):
        assert expected in notes
    for expected in ("'other', which is no input", "without response_format json_object"):
        assert expected in notes


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ask.prompty"
    path.write_bytes(b"\xef\xbb\xbf---\r\nname: x\r\n---\r\nuser:\r\nhi\r\n")
    assert load_flow(path).name == "x"


def test_variants_are_refused(prompty: Prompty) -> None:
    with pytest.raises(FlowError, match="a prompty flow has no variants"):
        FlowRunner(load_flow(prompty()), models=Models(), variants={"ask": "a"})


def test_prompties_are_listed_and_found_by_name(prompty: Prompty, tmp_path: Path) -> None:
    path = prompty("name: asking\n" + NAMED)
    (entry,) = find_flows(tmp_path)
    assert (entry.name, str(entry.path)) == ("asking", "ask.prompty")
    assert locate(tmp_path, "asking") == path
    (tmp_path / "broken.prompty").write_text("nothing")
    assert [item.name for item in find_flows(tmp_path)] == ["asking", "broken"]


def test_the_digest_follows_the_file_and_what_it_refers_to(prompty: Prompty) -> None:
    front = NAMED + "\ninputs: {text: {type: string}}\nsample: ${file:s.json}"
    first = load_flow(prompty(front, s__json='{"text": "a"}')).digest
    assert load_flow(prompty(front, s__json='{"text": "a"}', other__txt="x")).digest == first
    assert load_flow(prompty(front, s__json='{"text": "b"}')).digest != first


def test_a_folder_of_prompties_asks_for_the_file(prompty: Prompty) -> None:
    with pytest.raises(NotFound, match=r"name the prompty you mean, such as ask\.prompty"):
        load_flow(prompty().parent)
