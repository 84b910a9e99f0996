"""A flex flow's file, read and checked against the source of its entry; none of its code is run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from pilothouse.core.errors import FlowError, nearest_hint
from pilothouse.flows.dag.document import Parser
from pilothouse.flows.dag.includes import code_digest, flow_digest, shadowed
from pilothouse.flows.dag.parser import parse_environment, parse_includes, parse_variables, refuse_language
from pilothouse.flows.environment.references import files_named, read_file
from pilothouse.flows.flex.annotations import FREE, class_name, read_annotation
from pilothouse.flows.flex.signature import AGGREGATE, EntrySignature, read_entry
from pilothouse.flows.nodes.sources import Parameter
from pilothouse.flows.types import (
    VALUE_TYPES,
    Flow,
    FlowInput,
    FlowOutput,
    InitParameter,
    LiteralValue,
    Node,
    Reference,
    Step,
    ToolSource,
)

_DAG_ONLY = ("nodes", "node_variants", "tools", "message_format")
_PORT_KEYS = ("type", "default", "description", "enum", "is_chat_input", "is_chat_history", "is_chat_output")
_SAMPLE_KEYS = ("inputs", "init")
# Prompt flow's tools write an empty default where the Python default is None.
_NO_DEFAULT = (None, "")


def load_flex(file: Path, parser: Parser) -> Flow:
    """Return the flow of a file with an ``entry``.

    Raises:
        FlowError: when the entry is missing or does not fit what the file says, with file, line and cure.
    """
    _refuse_dag_keys(parser)
    language = refuse_language(parser)
    folder = _code(parser, file)
    includes = parse_includes(parser)
    entry = parser.text(parser.data, (), "entry")
    if not entry:
        raise FlowError("a flex flow needs an entry", where=parser.where(), expected="entry: module:function")
    signature = read_entry(folder, includes, entry, parser.where("entry"))
    inputs, notes = _inputs(parser, signature)
    notes += [
        f"{parser.where('additional_includes')}: '{name}' is taken from additional_includes, not from the folder"
        for name in shadowed(folder, includes)
    ]
    init = _init(parser, signature)
    flow = make_flow(file, signature, inputs=inputs, where=parser.where("entry"))
    data = parser.data
    return replace(
        flow,
        name=parser.text(data, (), "name") or file.parent.name,
        path=file,
        digest=flow_digest(folder, includes),
        outputs=_outputs(parser, signature),
        environment_variables=parse_variables(parser),
        environment=parse_environment(parser),
        additional_includes=includes,
        type=parser.text(data, (), "type") or "standard",
        language=language,
        display_name=parser.text(data, (), "display_name") or "",
        description=parser.text(data, (), "description") or "",
        tags={key: str(value) for key, value in parser.mapping(("tags",)).items()},
        notes=tuple(notes),
        entry=entry,
        init=init,
        init_values=_init_values(parser),
        init_sample=_init_sample(parser, init, signature),
        sample=_sample(parser, "inputs", inputs, "the entry takes no", anything=signature.takes_any),
    )


def load_module(root: Path, entry: str) -> Flow:
    """Return the flow of ``module:name`` in the folder ``root``, where no file describes it.

    Raises:
        FlowError: when there is no such function or class.
    """
    signature = read_entry(root, (), entry, entry)
    # The file or package beside which its imports are looked for.
    flow = function_flow(root / Path(signature.module).parts[0], signature, entry)
    return replace(flow, digest=code_digest(flow))


def function_flow(path: Path, signature: EntrySignature, entry: str) -> Flow:
    """Return the flow of a function or class that no file describes."""
    inputs = {item.name: _from_code(item.name, item.annotation, item, signature.place) for item in signature.inputs}
    flow = make_flow(path, signature, inputs=inputs, where=signature.place)
    init = {
        item.name: InitParameter(
            name=item.name, type=class_name(item.annotation), has_default=item.has_default, where=signature.place
        )
        for item in signature.init
    }
    outputs = _ports(signature.outputs, signature)
    return replace(flow, kind="function", name=signature.name, entry=entry, init=init, outputs=outputs)


def make_flow(path: Path, signature: EntrySignature, *, inputs: dict[str, FlowInput], where: str) -> Flow:
    """Return a flow of one node that calls the entry, and one that aggregates where the entry can."""
    source = ToolSource(path=signature.module, where=where)
    reads = {
        name: Reference(source="input", name=name, text=f"${{inputs.{name}}}", where=item.where)
        for name, item in inputs.items()
    }
    nodes = [Node(name=signature.name, type="python", source=source, inputs=dict(reads), where=where)]
    if signature.aggregate is not None:
        text = f"${{{signature.name}.output}}"
        line = Reference(source="node", name=signature.name, text=text, where=where)
        given: dict[str, Any] = {signature.aggregate: line}
        nodes.append(Node(name=AGGREGATE, type="python", source=source, inputs=given, aggregation=True, where=where))
    return Flow(kind="flex", name=signature.name, path=path, inputs=inputs, nodes=tuple(nodes))


def _refuse_dag_keys(parser: Parser) -> None:
    for key in _DAG_ONLY:
        if parser.data.get(key):
            raise FlowError(
                f"a flow with an entry has no '{key}'",
                where=parser.where(key),
                fix=f"remove '{key}', or remove 'entry' if this is a graph of nodes",
            )


def _code(parser: Parser, file: Path) -> Path:
    text = parser.text(parser.data, (), "code")
    folder = (file.parent / text).resolve() if text else file.parent
    if not folder.is_dir():
        raise FlowError(f"code names '{text}', which is no folder", where=parser.where("code"), expected="a folder")
    if folder != file.parent:
        raise FlowError(
            f"code names '{text}', but a flow's code stands beside its file",
            where=parser.where("code"),
            fix="move the file there, or bring the folder in with additional_includes",
        )
    return folder


# Inputs and outputs


def _inputs(parser: Parser, signature: EntrySignature) -> tuple[dict[str, FlowInput], list[str]]:
    declared = parser.mapping(("inputs",))
    parameters = {item.name: item for item in signature.inputs}
    for name in declared:
        if name not in parameters and not signature.takes_any:
            raise _unknown(f"'{signature.name}' at {signature.place} takes no input '{name}'", name, parameters,
                           parser.where("inputs", name))  # fmt: skip
    found: dict[str, FlowInput] = {}
    notes: list[str] = []
    for name in dict.fromkeys([*parameters, *declared]):
        item = parameters.get(name)
        said = _from_code(name, item.annotation if item else "", item, signature.place)
        if name in declared:
            written = _declared(parser, name, said)
            if said.conversion != "none" and written.type != said.type:
                notes.append(
                    f"{written.where}: the input '{name}' is declared as {written.type}, but {signature.place} says "
                    f"{said.type}: the declaration counts"
                )
            said = written
        found[name] = said
    return found, notes


def _from_code(name: str, annotation: str, parameter: Parameter | None, where: str) -> FlowInput:
    said = read_annotation(annotation) if annotation else FREE
    has_default = parameter is not None and parameter.has_default
    return FlowInput(
        name=name,
        type=said.type,
        conversion=said.conversion,
        default=parameter.default if parameter is not None else None,
        has_default=has_default,
        default_in_code=has_default,
        where=where,
    )


def _declared(parser: Parser, name: str, said: FlowInput) -> FlowInput:
    keys = ("inputs", name)
    fields = parser.mapping(keys, _PORT_KEYS)
    default = fields.get("default")
    is_given = default not in _NO_DEFAULT
    kind = said.type
    conversion = said.conversion
    if "type" in fields:
        kind = parser.choice({"type": str(fields["type"]).lower()}, keys, "type", VALUE_TYPES, "object")
        conversion = "nullable" if said.conversion == "nullable" else "strict"
    return FlowInput(
        name=name,
        type=kind,
        conversion=conversion,
        default=default if is_given else said.default,
        has_default=is_given or said.has_default,
        default_in_code=said.default_in_code and not is_given,
        description=parser.text(fields, keys, "description") or "",
        enum=tuple(fields.get("enum") or ()),
        is_chat_input=parser.flag(fields, keys, "is_chat_input"),
        is_chat_history=parser.flag(fields, keys, "is_chat_history"),
        where=parser.where(*keys),
    )


def _outputs(parser: Parser, signature: EntrySignature) -> dict[str, FlowOutput]:
    found = _ports(signature.outputs, signature)
    for name in parser.mapping(("outputs",)):
        keys = ("outputs", name)
        fields = parser.mapping(keys, (*_PORT_KEYS, "reference"))
        kind = parser.choice({"type": str(fields.get("type", "object")).lower()}, keys, "type", VALUE_TYPES, "object")
        found[name] = FlowOutput(
            name=name,
            type=kind,
            reference=_part(signature, name, parser.where(*keys)),
            description=parser.text(fields, keys, "description") or "",
            is_chat_output=parser.flag(fields, keys, "is_chat_output"),
            where=parser.where(*keys),
        )
    return found


def _ports(outputs: dict[str, str], signature: EntrySignature) -> dict[str, FlowOutput]:
    return {
        name: FlowOutput(
            name=name,
            type=read_annotation(annotation).type,
            reference=_part(signature, name, signature.place),
            where=signature.place,
        )
        for name, annotation in outputs.items()
    }


def _part(signature: EntrySignature, name: str, where: str) -> Reference:
    text = f"${{{signature.name}.output.{name}}}"
    return Reference(source="node", name=signature.name, path=(Step("word", name),), text=text, where=where)


# Init and samples


def _init(parser: Parser, signature: EntrySignature) -> dict[str, InitParameter]:
    declared = parser.mapping(("init",))
    if declared and not signature.is_class:
        raise FlowError(
            f"the entry '{signature.name}' is a function: nothing is made of it",
            where=parser.where("init"),
            fix="remove init, or make the entry a class",
        )
    parameters = {item.name: item for item in signature.init}
    found = {
        name: InitParameter(
            name=name, type=class_name(item.annotation), has_default=item.has_default, where=signature.place
        )
        for name, item in parameters.items()
    }
    for name in declared:
        if name not in parameters and not signature.init_takes_any:
            raise _unknown(f"'{signature.name}' at {signature.place} is made without '{name}'", name, parameters,
                           parser.where("init", name))  # fmt: skip
        keys = ("init", name)
        fields = parser.mapping(keys, _PORT_KEYS)
        known = found.get(name)
        written = parser.text(fields, keys, "type") or ""
        found[name] = InitParameter(
            name=name,
            type=(known.type if known is not None else "") or written,
            has_default=known is None or known.has_default,
            where=parser.where(*keys),
        )
    return found


def _init_values(parser: Parser) -> dict[str, LiteralValue]:
    values: dict[str, LiteralValue] = {}
    for name in parser.mapping(("init",)):
        default = parser.mapping(("init", name)).get("default")
        if default not in _NO_DEFAULT:
            values[name] = LiteralValue(value=default, where=parser.where("init", name, "default"))
    return values


def _init_sample(parser: Parser, init: dict[str, InitParameter], signature: EntrySignature) -> dict[str, LiteralValue]:
    what = f"'{signature.name}' at {signature.place} is made without"
    sample = _sample(parser, "init", init, what, anything=signature.init_takes_any)
    return {
        name: LiteralValue(value=value, where=parser.where("sample", "init", name)) for name, value in sample.items()
    }


def _sample(parser: Parser, part: str, known: Iterable[str], what: str, *, anything: bool) -> dict[str, Any]:
    keys = ("sample", part)
    parser.mapping(("sample",), _SAMPLE_KEYS)
    given = parser.at(keys)
    for name in files_named(given):
        content = read_file(parser.folder / name, parser.where(*keys))
        # The whole sample may stand in a file of its own.
        given = content if isinstance(given, str) else given
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise FlowError(f"sample.{part} is not a mapping", where=parser.where(*keys), expected="name: value")
    values = {str(key): item for key, item in cast("dict[Any, Any]", given).items()}
    names = list(known)
    for name in values:
        if name not in names and not anything:
            raise _unknown(f"{what} '{name}'", name, names, parser.where(*keys, name))
    return values


def _unknown(message: str, name: str, known: Iterable[str], where: str) -> FlowError:
    names = list(known)
    return FlowError(message, where=where, expected=nearest_hint(name, names) if names else "none")
