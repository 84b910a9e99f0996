"""A prompty's file, read and checked: one node that sends its prompt to its model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from pilothouse.core.canonical import digest, digest_file
from pilothouse.core.errors import FlowError, nearest_hint, suggest
from pilothouse.flows.dag.document import Key, Parser
from pilothouse.flows.environment.references import files_named, read_file
from pilothouse.flows.prompts.roles import check_roles
from pilothouse.flows.prompts.templates import Template
from pilothouse.flows.prompty.document import read_source
from pilothouse.flows.prompty.models import read_model
from pilothouse.flows.types import (
    VALUE_TYPES,
    Flow,
    FlowInput,
    FlowOutput,
    Node,
    Prompty,
    Reference,
    Step,
    ToolSource,
)

_KEYS = (
    *("name", "displayName", "display_name", "description", "authors", "tags", "version", "metadata", "base"),
    *("model", "inputs", "inputSchema", "outputs", "outputSchema", "sample", "template", "tools", "environment"),
    *("$schema", "kind", "instructions"),
)
_PORT_KEYS = (
    *("type", "kind", "default", "description", "sample", "example", "required", "is_required", "enum", "strict"),
    *("is_chat_input", "is_chat_history", "name", "items", "json_schema", "allowUnknown", "enumValues"),
)
_TYPES = {
    "number": "double",
    "float": "double",
    "integer": "int",
    "boolean": "bool",
    "array": "list",
    "dict": "object",
    "text": "string",
    "str": "string",
    "thread": "list",
}


def load_prompty(file: Path) -> Flow:
    """Return the flow of a ``.prompty`` file.

    Raises:
        FlowError: when it cannot work, with file, line and cure.
        ConfigError: when its front matter is not YAML.
    """
    source = read_source(file)
    parser = Parser(source.front, ())
    model, connection = read_model(parser, source)
    _refuse_tools(parser)
    _check_template(parser)
    template = Template(source.template, file, skipped=source.line)
    if model.api == "chat":
        check_roles(template.text, str(file))
    inputs, samples = _inputs(parser)
    data = parser.data
    name = parser.text(data, (), "name") or file.stem
    sample, files = _sample(parser, inputs)
    notes = [*_key_notes(parser, model), *_template_notes(template, inputs, file), *_secret_notes(model, parser)]
    notes += [
        f"{parser.where('sample', key)}: the sample gives '{key}', which is no input"
        for key in sample
        if key not in inputs
    ]
    node = Node(
        name=name,
        type="llm",
        source=ToolSource(path=file.name, where=model.where),
        inputs={
            key: Reference(source="input", name=key, text=f"${{inputs.{key}}}", where=item.where)
            for key, item in inputs.items()
        },
        connection=connection,
        api=model.api,
        where=model.where,
    )
    return Flow(
        kind="prompty",
        name=name,
        path=file,
        digest=digest({path.name: digest_file(path) for path in (file, *files)}),
        inputs=inputs,
        outputs=_outputs(parser, model, name),
        nodes=(node,),
        display_name=parser.text(data, (), "displayName" if "displayName" in data else "display_name") or "",
        description=parser.text(data, (), "description") or "",
        notes=tuple(dict.fromkeys(notes)),
        prompty=model,
        sample={key: value for key, value in {**samples, **sample}.items() if key in inputs},
    )


def _refuse_tools(parser: Parser) -> None:
    if parser.data.get("tools"):
        raise FlowError(
            "tools of a prompty are not called here",
            where=parser.where("tools"),
            fix="write them in OpenAI's form under model.parameters.tools, or in v2 under model.options.tools",
        )


def _check_template(parser: Parser) -> None:
    given: Any = parser.data.get("template")
    keys: tuple[Key, ...] = ("template",)
    parts = {"format": given} if isinstance(given, str) else parser.mapping(keys)
    for key, known in (("format", ("jinja2", "jinja")), ("type", ("jinja2", "jinja")), ("parser", ("prompty", "chat"))):
        value: Any = parts.get(key)
        kind: Any = cast("dict[str, Any]", value).get("kind") if isinstance(value, dict) else value
        if kind is not None and str(kind).lower() not in known:
            raise FlowError(
                f"the template's {key} is '{kind}'",
                where=parser.where(*keys, key),
                expected=known[0],
                fix="rewrite the template in Jinja",
            )


# Inputs and outputs


def _inputs(parser: Parser) -> tuple[dict[str, FlowInput], dict[str, Any]]:
    """Return the inputs, and the samples that stand beside them."""
    found: dict[str, FlowInput] = {}
    samples: dict[str, Any] = {}
    for name, keys in _ports(parser, "inputs", "inputSchema"):
        fields = parser.mapping(keys, _PORT_KEYS)
        kind, is_free = _port_type(parser, fields, keys)
        is_required = fields.get("required", fields.get("is_required"))
        has_default = "default" in fields or is_required is False
        found[name] = FlowInput(
            name=name,
            type=kind,
            conversion="none" if is_free else "nullable" if has_default and fields.get("default") is None else "strict",
            default=fields.get("default"),
            has_default=has_default,
            description=parser.text(fields, keys, "description") or "",
            is_chat_input=parser.flag(fields, keys, "is_chat_input"),
            is_chat_history=parser.flag(fields, keys, "is_chat_history"),
            where=parser.where(*keys),
        )
        for key in ("sample", "example"):
            if key in fields:
                samples[name] = fields[key]
    return found, samples


def _ports(parser: Parser, *sections: str) -> Iterator[tuple[str, tuple[Key, ...]]]:
    for section in sections:
        keys: tuple[Key, ...] = (section,)
        given: Any = parser.data.get(section)
        if isinstance(given, dict) and isinstance(cast("dict[str, Any]", given).get("properties"), dict | list):
            keys = (section, "properties")
        value: Any = parser.at(keys)
        if isinstance(value, list):
            for index in range(len(cast("list[Any]", value))):
                fields = parser.mapping((*keys, index))
                name = parser.text(fields, (*keys, index), "name")
                if not name:
                    raise FlowError(f"an entry of {section} has no name", where=parser.where(*keys, index))
                yield name, (*keys, index)
        else:
            for name, item in parser.mapping(keys).items():
                if item is not None and not isinstance(item, dict):
                    raise FlowError(
                        f"'{name}' is declared by a value",
                        where=parser.where(*keys, name),
                        expected=f"{name}: {{type: string, default: {item}}}",
                    )
                yield name, (*keys, name)


def _port_type(parser: Parser, fields: dict[str, Any], keys: tuple[Key, ...]) -> tuple[Any, bool]:
    key = "type" if "type" in fields else "kind"
    if fields.get(key) is None:
        return "object", True
    word = str(fields[key]).lower()
    if word == "any":
        return "object", True
    return parser.choice({key: _TYPES.get(word, word)}, keys, key, VALUE_TYPES, "object"), False


def _outputs(parser: Parser, model: Prompty, node: str) -> dict[str, FlowOutput]:
    if model.response == "all":
        return {}
    is_json = expects_json(model.parameters)
    declared = dict(_ports(parser, "outputs", "outputSchema")) if is_json else {}
    if is_json and not declared:
        return {}
    found: dict[str, FlowOutput] = {}
    for name, keys in (declared or {"output": ("model",)}).items():
        fields = parser.mapping(keys) if declared else {"type": "string"}
        text = f"${{{node}.output.{name}}}"
        where = parser.where(*keys)
        reference = Reference(source="node", name=node, path=(Step("word", name),), text=text, where=where)
        kind, _ = _port_type(parser, fields, keys)
        found[name] = FlowOutput(name=name, type=kind, reference=reference, where=where)
    return found


def expects_json(parameters: dict[str, Any]) -> bool:
    """Return whether the model is asked for a JSON object."""
    form: Any = parameters.get("response_format")
    return isinstance(form, dict) and cast("dict[str, Any]", form).get("type") == "json_object"


def _sample(parser: Parser, inputs: dict[str, FlowInput]) -> tuple[dict[str, Any], list[Path]]:
    """Return the sample, and the files that it refers to."""
    given: Any = parser.data.get("sample")
    where = parser.where("sample")
    names = [given] if isinstance(given, str) and given.endswith(".json") else list(files_named(given))
    files = [parser.folder / name for name in names]
    contents = [read_file(path, where) for path in files]
    if isinstance(given, str):
        if not contents:
            raise FlowError("the sample is a text", where=where, expected="a mapping, or ${file:sample.json}")
        given = contents[0]
    if given is None:
        return {}, files
    if not isinstance(given, dict):
        raise FlowError("the sample is not a mapping", where=where, expected="input: value")
    values = {str(key): item for key, item in cast("dict[Any, Any]", given).items()}
    inner = values.get("inputs")
    if "inputs" not in inputs and isinstance(inner, dict):
        values = {str(key): item for key, item in cast("dict[Any, Any]", inner).items()}
    return values, files


# Notes


def _key_notes(parser: Parser, model: Prompty) -> Iterator[str]:
    for key in parser.data:
        if key not in _KEYS:
            near = f": {nearest_hint(key, _KEYS)}" if suggest(key, _KEYS) else ""
            yield f"{parser.where(key)}: the key '{key}' means nothing here{near}"
    for key in ("outputs", "outputSchema"):
        if parser.data.get(key) and not expects_json(model.parameters) and model.response == "first":
            yield f"{parser.where(key)}: without response_format json_object the output is the text, under 'output'"


def _template_notes(template: Template, inputs: Iterable[str], file: Path) -> Iterator[str]:
    names = list(inputs)
    for name in template.variables:
        if name not in names:
            near = f" ({nearest_hint(name, names)})" if suggest(name, names) else ""
            yield f"{file}: nothing gives '{name}' in the template: it will be empty{near}"


def _secret_notes(model: Prompty, parser: Parser) -> Iterator[str]:
    key = model.configuration.get("api_key")
    if isinstance(key, str) and key and "${" not in key:
        yield f"{parser.where('model')}: the api_key stands in the clear: write ${{env:NAME}}, and replace the key"
