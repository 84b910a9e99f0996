from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pilothouse.core import plugins
from pilothouse.core.errors import ConfigError, NotFound, PilothouseError, UserCodeError
from pilothouse.evaluation.evaluators.evaluator import Evaluator
from pilothouse.evaluation.evaluators.loading import load_evaluator
from pilothouse.evaluation.types import EvaluatorSpec

BUILT_IN = ["classification", "exact_match", "latency", "log_loss", "token_f1", "tokens"]


def no_flows(path: Path, options: Any) -> Any:
    raise AssertionError(f"{path} is no flow")


def load(root: Path, source: str, **options: Any) -> Evaluator:
    spec = EvaluatorSpec(name="mine", source=source, options=options, where="experiment.yaml:9")
    return load_evaluator(spec, root, no_flows)


def write(root: Path, text: str, name: str = "judge.py") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_built_ins_enter_by_the_entry_points(tmp_path: Path) -> None:
    assert set(BUILT_IN) <= set(plugins.names("evaluators"))
    for name in BUILT_IN:
        assert load(tmp_path, name).metrics
    strict = load(tmp_path, "exact_match", strict=True)
    assert strict.version != load(tmp_path, "exact_match").version


def test_a_function_and_a_class_in_a_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        "from beside import LIMIT\n"
        "def short(answer): return len(answer) < LIMIT\n"
        "class Short:\n"
        "    def __init__(self, limit: int = 3): self.limit = limit\n"
        "    def __call__(self, answer): return len(answer) < self.limit\n",
        "evaluators/judge.py",
    )
    beside = write(tmp_path, "LIMIT = 4\n", "evaluators/beside.py")
    function = load(tmp_path, "evaluators/judge.py:short")
    made = load(tmp_path, "evaluators/judge.py:Short", limit=10)
    for evaluator in (function, made):
        (score,) = asyncio.run(evaluator.judge({"answer": "abc"}, 0)).scores
        assert score.value is True
    assert load(tmp_path, "evaluators/judge.py:short").version == function.version
    assert len({function.version, made.version, load(tmp_path, "evaluators/judge.py:Short").version}) == 3
    beside.write_text("LIMIT = 2\n")
    changed = load(tmp_path, "evaluators/judge.py:short")
    assert changed.version != function.version
    (score,) = asyncio.run(changed.judge({"answer": "abc"}, 0)).scores
    assert score.value is False


def test_what_is_elsewhere_does_not_change_the_version(tmp_path: Path) -> None:
    write(tmp_path, "import json\nfrom pack.inner import x\ndef f(): return x\n")
    write(tmp_path, "from . import other\nx = other.y\n", "pack/inner.py")
    write(tmp_path, "", "pack/__init__.py")
    other = write(tmp_path, "y = True\n", "pack/other.py")
    version = load(tmp_path, "judge.py:f").version
    write(tmp_path, "z = 1\n", "unrelated.py")
    assert load(tmp_path, "judge.py:f").version == version
    other.write_text("y = False  # (\n")
    assert load(tmp_path, "judge.py:f").version != version


@pytest.mark.parametrize(
    ("source", "text", "error", "said"),
    [
        ("exact_mach", "", NotFound, "did you mean 'exact_match'"),
        ("judge.py", "", NotFound, "'path/to/file.py:Name'"),
        ("missing.py:f", "", NotFound, "no evaluator file"),
        ("judge.py:shrot", "def short(a): return 1", NotFound, "did you mean 'short'"),
        ("judge.py:LIMIT", "LIMIT = 3", NotFound, "cannot be called"),
        ("judge.py:f", "def f(:", UserCodeError, "SyntaxError"),
        ("judge.py:f", "raise SystemExit(1)", UserCodeError, "SystemExit"),
        ("judge.py:f", "import nowhere_to_be_found", UserCodeError, "nowhere_to_be_found"),
        ("judge.py:C", "class C: pass", ConfigError, "has no __call__"),
        ("judge.py:C", "class C:\n def __init__(self): 1/0\n def __call__(self): pass", UserCodeError, "ZeroDivision"),
        ("judge.py:f", "def f(a, /): pass", ConfigError, "by position only"),
    ],
)
def test_what_cannot_be_loaded_is_said(
    tmp_path: Path, source: str, text: str, error: type[PilothouseError], said: str
) -> None:
    write(tmp_path, text)
    with pytest.raises(error) as caught:
        load(tmp_path, source)
    assert said in str(caught.value)


def test_options_are_checked(tmp_path: Path) -> None:
    write(tmp_path, "def f(a): return 1\nclass C:\n def __init__(self, limit): pass\n def __call__(self): pass")
    with pytest.raises(ConfigError, match="is a function and takes no options"):
        load(tmp_path, "judge.py:f", limit=1)
    with pytest.raises(ConfigError, match="did you mean 'limit'"):
        load(tmp_path, "judge.py:C", limt=1)
    with pytest.raises(ConfigError, match="needs the argument 'limit'"):
        load(tmp_path, "judge.py:C")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "classification", labels="spam")
    assert caught.value.where == "experiment.yaml:9"


def test_a_broken_file_beside_it_has_a_version_too(tmp_path: Path) -> None:
    write(tmp_path, "try:\n    import broken\nexcept SyntaxError:\n    broken = None\ndef f(): return broken is None\n")
    write(tmp_path, "def (", "broken.py")
    (score,) = asyncio.run(load(tmp_path, "judge.py:f").judge({}, 0)).scores
    assert score.value is True
