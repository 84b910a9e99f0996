"""A prompty's file, read and checked: one node that sends its prompt to its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

from pilothouse.core.canonical import digest, digest_file
from pilothouse.core.errors import ConfigError, FlowError
from pilothouse.flows.dag.document import Key, Parser
from pilothouse.flows.environment.references import read_file
from pilothouse.flows.prompty.answers import expects_json
from pilothouse.flows.prompty.document import Source, read_source
from pilothouse.flows.prompty.models import Model, read_model
from pilothouse.flows.prompty.notes import key_notes, template_notes
from pilothouse.flows.prompty.schema import RICH, Port, flow_input, json_schema, ports, sampled_input
from pilothouse.flows.prompty.tools import read_tools, refuse_outside
from pilothouse.flows.types import (
    Flow,
    FlowInput,
    FlowOutput,
    Node,
    Prompty,
    PromptyTool,
    Reference,
    Step,
    ToolSource,
)

_TEMPLATE_KEYS = ("format", "type", "parser", "strict", "content", "options")
_INPUTS = ("inputs", "inputSchema")
_OUTPUTS = ("outputs", "outputSchema")


def load_prompty(file: Path, *, above: tuple[Path, ...] = ()) -> Flow:
    """Return the flow of a ``.prompty`` file.

    Args:
        file: The file.
        above: The prompties that it is a tool of, the outermost first.

    Raises:
        FlowError: when it cannot work, with file, line and cure.
        ConfigError: when its front matter is not YAML.
    """
    source = read_source(file)
    parser = Parser(source.front, ())
    _refuse_base(parser)
    model = read_model(parser)
    if model.is_v2:
        for path in source.files:
            refuse_outside(path, file.parent, str(file))
    declared = [port for section in _INPUTS for port in ports(parser, (section,), shorthand=model.is_v2)]
    sample, files = _sample(parser, [port.name for port in declared])
    inputs = {port.name: flow_input(parser, port, optional=model.is_v2) for port in declared}
    examples = {port.name: port.fields[key] for port in declared for key in ("sample", "example") if key in port.fields}
    if not inputs and not model.is_v2:
        # As in prompt flow: what the sample gives are the inputs.
        inputs = {name: sampled_input(name, value, parser.where("sample", name)) for name, value in sample.items()}
    outputs = [port for section in _OUTPUTS for port in ports(parser, (section,), shorthand=False)]
    prompty = _prompty(parser, source, model, inputs, declared, outputs)
    children = _children(prompty.tools, (*above, file))
    name = parser.text(parser.data, (), "name") or file.stem
    notes = [
        *key_notes(parser, model, prompty, sample, inputs),
        *model.notes,
        *template_notes(prompty, inputs, file),
        *(note for child in children for note in child.notes),
    ]
    display = "displayName" if "displayName" in parser.data else "display_name"
    return Flow(
        kind="prompty",
        name=name,
        path=file,
        digest=_digest((file, *source.files, *files), children),
        inputs=inputs,
        outputs=_flow_outputs(parser, prompty, outputs, name),
        nodes=(_node(name, file, model, inputs),),
        display_name=parser.text(parser.data, (), display) or "",
        description=parser.text(parser.data, (), "description") or "",
        notes=tuple(dict.fromkeys(notes)),
        prompty=prompty,
        sample={key: value for key, value in {**examples, **sample}.items() if key in inputs},
    )


def _refuse_base(parser: Parser) -> None:
    if parser.data.get("base") is not None:
        raise FlowError(
            "a prompty does not build on another one any more",
            where=parser.where("base"),
            fix=f"copy what it takes from '{parser.data['base']}' into it, and share files with ${{file:...}}",
        )


def _prompty(
    parser: Parser,
    source: Source,
    model: Model,
    inputs: dict[str, FlowInput],
    declared: list[Port],
    outputs: list[Port],
) -> Prompty:
    parameters = dict(model.parameters)
    structured = model.is_v2 and bool(outputs) and "response_format" not in parameters and model.api == "chat"
    if structured:
        schema = {"name": "outputs", "strict": True, "schema": json_schema(parser, outputs, strict=True)}
        parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
    if not source.template.strip():
        raise FlowError(
            "there is no prompt behind the front matter",
            where=f"{source.front.path}:{source.line}",
            expected="a role such as user: and its text",
        )
    language, guarded = _template(parser, model)
    return Prompty(
        dialect="v2" if model.is_v2 else "v1",
        api=model.api,
        type=model.type,
        configuration=model.configuration,
        parameters=parameters,
        response=model.response,
        template=source.template,
        format=language,
        guarded=guarded,
        kinds={port.name: port.kind for port in declared if port.kind in RICH} if model.is_v2 else {},
        structured=structured,
        tools=_tools(parser, model, inputs),
        line=source.line,
        where=model.where,
    )


def _tools(parser: Parser, model: Model, inputs: dict[str, FlowInput]) -> tuple[PromptyTool, ...]:
    if model.is_v2 and model.api == "chat":
        return read_tools(parser, inputs)
    if parser.data.get("tools"):
        raise FlowError(
            "prompt flow's prompties have no tools of their own" if not model.is_v2 else "a completion has no tools",
            where=parser.where("tools"),
            fix="write them in OpenAI's form under model.parameters.tools, or the model as Prompty 2 has it: model.id",
        )
    return ()


def _template(parser: Parser, model: Model) -> tuple[Literal["jinja2", "mustache"], bool]:
    """Return the template's language, and whether inputs are kept from beginning messages."""
    given: Any = parser.data.get("template")
    keys: tuple[Key, ...] = ("template",)
    parts = {"format": given} if isinstance(given, str) else parser.mapping(keys, _TEMPLATE_KEYS)
    languages = ("jinja2", "jinja", "mustache") if model.is_v2 else ("jinja2", "jinja")
    found: dict[str, str] = {}
    strict: Any = parts.get("strict")
    for key, known in (("format", languages), ("type", languages), ("parser", ("prompty", "chat"))):
        value: Any = parts.get(key)
        if isinstance(value, dict):
            fields = parser.mapping((*keys, key), ("kind", "strict", "options"))
            strict = fields.get("strict", strict)
            value = fields.get("kind")
        if value is None or value == "*":
            continue
        found[key] = str(value).lower()
        if found[key] not in known:
            fix = "write the model as Prompty 2 has it: model.id" if found[key] == "mustache" else None
            raise FlowError(
                f"the template's {key} is '{value}'",
                where=parser.where(*keys, key),
                expected=", ".join(known),
                fix=fix or "rewrite the template in Jinja",
            )
    if strict is not None and not isinstance(strict, bool):
        raise FlowError(f"strict is {strict!r}", where=parser.where(*keys), expected="true or false")
    language = found.get("format") or found.get("type")
    return "mustache" if language == "mustache" else "jinja2", strict is not False


def _children(tools: tuple[PromptyTool, ...], above: tuple[Path, ...]) -> list[Flow]:
    """Return the prompties that answer tools, loaded: what is wrong with them is told now."""
    found: list[Flow] = []
    for tool in tools:
        if tool.path is None:
            continue
        if tool.path in above:
            circle = " -> ".join(path.name for path in (*above, tool.path))
            raise FlowError(f"the prompties call each other in a circle: {circle}", where=tool.where)
        try:
            child = load_prompty(tool.path, above=above)
        except ConfigError as error:
            raise FlowError(error.message, where=error.where, expected=error.expected, fix=error.fix) from error
        for name, item in child.inputs.items():
            arguments = tool.declaration["function"]["parameters"]["properties"]
            if not (item.has_default or item.default_in_code or name in arguments or name in tool.bindings):
                raise FlowError(
                    f"the tool '{tool.name}' cannot give '{name}' to {tool.path.name}, which needs it",
                    where=tool.where,
                    fix=f"declare '{name}' under its parameters, or bind it to an input",
                )
        found.append(child)
    return found


def _digest(files: tuple[Path, ...], children: list[Flow]) -> str:
    return digest([[path.name, digest_file(path)] for path in files] + [child.digest for child in children])


def _node(name: str, file: Path, model: Model, inputs: dict[str, FlowInput]) -> Node:
    return Node(
        name=name,
        type="llm",
        source=ToolSource(path=file.name, where=model.where),
        inputs={
            key: Reference(source="input", name=key, text=f"${{inputs.{key}}}", where=item.where)
            for key, item in inputs.items()
        },
        connection=model.connection,
        api=model.api,
        where=model.where,
    )


def _flow_outputs(parser: Parser, prompty: Prompty, declared: list[Port], node: str) -> dict[str, FlowOutput]:
    if prompty.response == "all":
        return {}
    is_json = prompty.structured or expects_json(prompty.parameters)
    if is_json and not declared:
        return {}
    listed = [(port.name, port.type, port.keys) for port in declared] if is_json else [("output", "string", ("model",))]
    found: dict[str, FlowOutput] = {}
    for name, kind, keys in listed:
        where = parser.where(*keys)
        text = f"${{{node}.output.{name}}}"
        reference = Reference(source="node", name=node, path=(Step("word", name),), text=text, where=where)
        found[name] = FlowOutput(name=name, type=cast("Any", kind), reference=reference, where=where)
    return found


def _sample(parser: Parser, inputs: list[str]) -> tuple[dict[str, Any], list[Path]]:
    """Return the sample, and the file that it is in."""
    given: Any = parser.data.get("sample")
    where = parser.where("sample")
    files: list[Path] = []
    if isinstance(given, str) and given.endswith(".json"):
        files = [parser.folder / given]
        given = read_file(files[0], where)
    if isinstance(given, str):
        raise FlowError("the sample is a text", where=where, expected="a mapping, or ${file:sample.json}")
    if given is None:
        return {}, files
    if not isinstance(given, dict):
        raise FlowError("the sample is not a mapping", where=where, expected="input: value")
    values = {str(key): item for key, item in cast("dict[Any, Any]", given).items()}
    inner = values.get("inputs")
    if isinstance(inner, dict) and "inputs" not in inputs:
        values = {str(key): item for key, item in cast("dict[Any, Any]", inner).items()}
    return values, files
