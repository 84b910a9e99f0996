"""What an entry says about itself, read from its source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.dag.includes import find_source
from pilothouse.flows.nodes.sources import Function, Parameter, parameters_of, parse_python, promptflow_line
from pilothouse.flows.types import Include

CALL, INIT, AGGREGATE = "__call__", "__init__", "__aggregate__"
_ENTRY = "module:function or module:Class"
_CHECKED_BY_TYPES = frozenset({"TypedDict", "NamedTuple"})


class EntrySignature(Struct, frozen=True, kw_only=True):
    """The entry of a flex flow.

    Attributes:
        name: Function or class.
        module: Its file, relative to the flow's folder.
        place: ``file:line`` of its definition.
        is_class: Whether it is made once and called for each line.
        inputs: Parameters of the function, or of ``__call__``.
        takes_any: Whether it has ``**kwargs``.
        init: Parameters of the class's constructor.
        init_takes_any: Whether the constructor has ``**kwargs``.
        aggregate: Name of the parameter of ``__aggregate__``; None without it.
        outputs: Name -> annotation of what it returns: fields of a dataclass, or ``output`` for a single value; empty
            where nobody can know.
    """

    name: str
    module: str
    place: str
    is_class: bool = False
    inputs: tuple[Parameter, ...] = ()
    takes_any: bool = False
    init: tuple[Parameter, ...] = ()
    init_takes_any: bool = False
    aggregate: str | None = None
    outputs: dict[str, str] = {}


class _Found(Struct, frozen=True):
    """A definition and the file that it stands in."""

    node: Function | ast.ClassDef
    file: _File


class _File:
    """One Python file of the flow, parsed."""

    def __init__(self, path: Path, folder: Path, includes: tuple[Include, ...]) -> None:
        self.path = path
        self._folder = folder
        self._includes = includes
        self.tree = parse_python(path)
        promptflow_line(self.tree, path)

    def names(self) -> list[str]:
        """Return the functions and classes that the file defines."""
        return [item.name for item in _statements(self.tree.body) if isinstance(item, Function | ast.ClassDef)]

    def find(self, name: str, seen: frozenset[tuple[Path, str]] = frozenset()) -> _Found | None:
        """Return the last definition of a name, through imports from other files of the flow."""
        if (self.path, name) in seen:
            return None
        seen |= {(self.path, name)}
        found: _Found | None = None
        for item in _statements(self.tree.body):
            if isinstance(item, Function | ast.ClassDef) and item.name == name:
                found = _Found(item, self)
            elif isinstance(item, ast.ImportFrom):
                found = self._imported(item, name, seen) or found
            elif isinstance(item, ast.Assign) and isinstance(item.value, ast.Name):
                is_meant = any(isinstance(target, ast.Name) and target.id == name for target in item.targets)
                found = (self.find(item.value.id, seen) if is_meant else None) or found
        return found

    def _imported(self, statement: ast.ImportFrom, name: str, seen: frozenset[tuple[Path, str]]) -> _Found | None:
        alias = next((item for item in statement.names if (item.asname or item.name) == name), None)
        if alias is None:
            return None
        base = ""
        if statement.level and self.path.is_relative_to(self._folder):
            parents = self.path.relative_to(self._folder).parts[: -statement.level]
            base = ".".join(parents) + "." if parents else ""
        path = module_file(self._folder, self._includes, f"{base}{statement.module or ''}".strip("."))
        return _File(path, self._folder, self._includes).find(alias.name, seen) if path is not None else None

    def method(self, owner: ast.ClassDef, name: str, seen: frozenset[str] = frozenset()) -> _Found | None:
        """Return a method of a class of this file, or of its bases inside the flow."""
        own = [item for item in _statements(owner.body) if isinstance(item, Function) and item.name == name]
        if own:
            return _Found(own[-1], self)
        for base in owner.bases:
            inner = self.find(base.id) if isinstance(base, ast.Name) and base.id not in seen else None
            if inner is not None and isinstance(inner.node, ast.ClassDef):
                found = inner.file.method(inner.node, name, seen | {owner.name})
                if found is not None:
                    return found
        return None


def read_entry(folder: Path, includes: tuple[Include, ...], entry: str, where: str) -> EntrySignature:
    """Return what the function or class that ``entry`` names takes and gives.

    Args:
        folder: The flow's folder.
        includes: What is laid over it.
        entry: ``module:name``.
        where: ``file:line`` of the entry, for errors.

    Raises:
        FlowError: when the module or the name is missing, or the class cannot be called.
    """
    module, colon, name = entry.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), name)):
        raise FlowError(f"the entry '{entry}' does not name a function or class", where=where, expected=_ENTRY)
    path = module_file(folder, includes, module)
    if path is None:
        known = [item.stem for item in folder.glob("*.py")]
        raise FlowError(
            f"the entry names the module '{module}', which the flow does not have",
            where=where,
            expected=nearest_hint(module, known) if known else f"a file {module.replace('.', '/')}.py",
        )
    file = _File(path, folder, includes)
    found = file.find(name)
    if found is None:
        raise FlowError(
            f"'{path.name}' defines no function or class '{name}'",
            where=where,
            expected=nearest_hint(name, file.names()) if file.names() else f"def {name}(...) or class {name}",
        )
    relative = _module_name(module, path)
    return _class(found, relative) if isinstance(found.node, ast.ClassDef) else _function(found, relative)


def module_file(folder: Path, includes: tuple[Include, ...], module: str) -> Path | None:
    """Return the file of a module of the flow, or None when it has none of that name."""
    stem = module.replace(".", "/")
    if not stem:
        return find_source(folder, includes, "__init__.py")
    return find_source(folder, includes, f"{stem}.py") or find_source(folder, includes, f"{stem}/__init__.py")


def _module_name(module: str, path: Path) -> str:
    stem = module.replace(".", "/")
    return f"{stem}/__init__.py" if path.name == "__init__.py" else f"{stem}.py"


def _function(found: _Found, module: str) -> EntrySignature:
    node = found.node
    assert isinstance(node, Function)
    _refuse_positional(found)
    return EntrySignature(
        name=node.name,
        module=module,
        place=_place(found),
        inputs=tuple(parameters_of(node, is_method=False)),
        takes_any=node.args.kwarg is not None,
        outputs=_outputs(node, found.file),
    )


def _class(found: _Found, module: str) -> EntrySignature:
    owner = found.node
    assert isinstance(owner, ast.ClassDef)
    call = found.file.method(owner, CALL)
    if call is None or not isinstance(call.node, Function):
        raise FlowError(
            f"the class '{owner.name}' has no {CALL}",
            where=_place(found),
            fix=f"write `def {CALL}(self, ...)`: it is run for each line",
        )
    _refuse_positional(call)
    made = found.file.method(owner, INIT)
    constructor = made.node if made is not None and isinstance(made.node, Function) else None
    init = parameters_of(constructor, is_method=True) if constructor else _dataclass_fields(owner)
    return EntrySignature(
        name=owner.name,
        module=module,
        place=_place(found),
        is_class=True,
        inputs=tuple(parameters_of(call.node, is_method=True)),
        takes_any=call.node.args.kwarg is not None,
        init=tuple(init),
        init_takes_any=constructor is not None and constructor.args.kwarg is not None,
        aggregate=_aggregate(found, owner),
        outputs=_outputs(call.node, call.file),
    )


def _aggregate(found: _Found, owner: ast.ClassDef) -> str | None:
    method = found.file.method(owner, AGGREGATE)
    if method is None or not isinstance(method.node, Function):
        return None
    node = method.node
    is_static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
    parameters = list(parameters_of(node, is_method=not is_static))
    if len(parameters) != 1 or node.args.vararg or node.args.kwarg or node.args.posonlyargs[1:]:
        raise FlowError(
            f"{AGGREGATE} takes {len(parameters)} parameters" if len(parameters) != 1 else f"{AGGREGATE} takes more",
            where=_place(method),
            expected=f"def {AGGREGATE}(self, line_results: list): one parameter, the outputs of the completed lines",
        )
    return parameters[0].name


def _refuse_positional(found: _Found) -> None:
    node = found.node
    assert isinstance(node, Function)
    only = [item.arg for item in node.args.posonlyargs if item.arg != "self"]
    if only:
        raise FlowError(
            f"'{only[0]}' of '{node.name}' can only be given by its place, but inputs are given by name",
            where=_place(found),
            fix="take the `/` out of the parameters",
        )


def _dataclass_fields(owner: ast.ClassDef) -> list[Parameter]:
    if not _is_dataclass(owner):
        return []
    return [
        Parameter(
            name=item.target.id,
            annotation=ast.unparse(item.annotation),
            has_default=item.value is not None,
            default=None,
        )
        for item in owner.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    ]


def _outputs(node: Function, file: _File) -> dict[str, str]:
    """Return the names of what a function returns, as far as its annotation tells them."""
    if node.returns is None or (isinstance(node.returns, ast.Constant) and node.returns.value is None):
        return {}
    text = ast.unparse(node.returns).strip("'\"")
    found = file.find(text)
    if found is not None and isinstance(found.node, ast.ClassDef):
        bases = {ast.unparse(base).rpartition(".")[2] for base in found.node.bases}
        if not _is_dataclass(found.node) and not bases & _CHECKED_BY_TYPES:
            return {}
        fields = [item for item in found.node.body if isinstance(item, ast.AnnAssign)]
        return {item.target.id: ast.unparse(item.annotation) for item in fields if isinstance(item.target, ast.Name)}
    return {"output": text} if text.partition("[")[0] in {"str", "int", "float", "bool", "list"} else {}


def _is_dataclass(owner: ast.ClassDef) -> bool:
    names = [ast.unparse(item.func if isinstance(item, ast.Call) else item) for item in owner.decorator_list]
    return any(name.rpartition(".")[2] == "dataclass" for name in names)


def _place(found: _Found) -> str:
    return f"{found.file.path}:{found.node.lineno}"


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Return statements, those inside of `if`, `try` and `with` too."""
    for item in body:
        yield item
        if isinstance(item, ast.If | ast.Try | ast.With):
            for child in ast.iter_child_nodes(item):
                if isinstance(child, ast.stmt):
                    yield from _statements([child])
                elif isinstance(child, ast.ExceptHandler):
                    yield from _statements(child.body)
