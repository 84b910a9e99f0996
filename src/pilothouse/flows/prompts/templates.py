"""Templates: Jinja as prompt flow renders it, in the sandbox."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilothouse.core.errors import FlowError

if TYPE_CHECKING:  # a flow without templates does not pay for Jinja
    import jinja2

_IMAGE = re.compile(r"!\[(\s*image\s*)\]\(\{\{(\s*[^\s{}]+\s*)\}\}\)")
_NAME = "<template>"


class Template:
    """A compiled template.

    Attributes:
        text: Its source.
        path: The file it came from.
        variables: What it reads from outside, in the order in which it names them.
        images: Those of them that stand as ``![image]({{x}})``.
        skipped: Line breaks before its text, that keep its lines those of the file.
    """

    def __init__(
        self, text: str, path: Path, *, sandbox: bool = True, skipped: int = 0, trim_blocks: bool = True
    ) -> None:
        import jinja2.meta

        text = "\n" * skipped + text
        self.text = text
        self.skipped = skipped
        self.path = path
        self._environment = environment = _environment(sandbox, trim_blocks)
        try:
            # An image stands on a line of its own, so that the rendered text can be cut at it.
            source = _IMAGE.sub(r"\n{{\2}}\n", text)
            names = jinja2.meta.find_undeclared_variables(environment.parse(source))
            self._template = environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise FlowError(
                f"the template cannot be read: {error.message}",
                where=f"{path}:{error.lineno}",
                expected="Jinja: {{ variable }}, {% if ... %} ... {% endif %}, {# comment #}",
            ) from error
        self.variables: tuple[str, ...] = tuple(sorted(names, key=text.find))
        self.images: frozenset[str] = frozenset(match[2].strip() for match in _IMAGE.finditer(text))

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text with ``values`` filled in; what is not given is empty, as Jinja does by default.

        Raises:
            FlowError: whatever the template raised, with its line.
        """
        try:
            return self._template.render(values)
        except Exception as error:
            raise FlowError(
                f"the template cannot be rendered: {type(error).__name__}: {error}", where=self._place(error)
            ) from error

    def place_of(self, variable: str) -> str:
        """Return ``file:line`` of the first place that names ``variable``; the file where none does."""
        for line, kind, text in self._environment.lex(self.text):
            if kind == "name" and text == variable:
                return f"{self.path}:{line}"
        return str(self.path)

    def _place(self, error: Exception) -> str:
        line = None
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == _NAME:
                line = trace.tb_lineno
            trace = trace.tb_next
        return f"{self.path}:{line}" if line else str(self.path)


def read_template(path: Path, *, sandbox: bool = True) -> Template:
    """Read and compile a template file.

    Raises:
        FlowError: when it cannot be read, is not UTF-8, or not a template, with its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlowError(f"byte {error.start} is not UTF-8", where=str(path), fix="save the file as UTF-8") from error
    except OSError as error:
        raise FlowError(f"the template cannot be read: {error.strerror}", where=str(path)) from error
    return Template(text, path, sandbox=sandbox)


@lru_cache(maxsize=4)
def _environment(sandbox: bool, trim_blocks: bool) -> jinja2.Environment:
    import jinja2.sandbox

    kind = jinja2.sandbox.SandboxedEnvironment if sandbox else jinja2.Environment
    # Prompts are text, not HTML: nothing is to be escaped.
    return kind(trim_blocks=trim_blocks, keep_trailing_newline=True, autoescape=False)
