"""Nouns of a flow: what its file says, each with the ``file:line`` it stands at."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast, get_args

from msgspec import Struct, field

FlowKind = Literal["dag", "flex", "prompty", "function"]
ValueType = Literal[
    "int",
    "double",
    "bool",
    "string",
    "list",
    "object",
    "image",
    "secret",
    "prompt_template",
    "file_path",
    "assistant_definition",
]
NodeType = Literal["llm", "prompt", "python", "custom_llm"]
SourceType = Literal["code", "package", "package_with_prompt"]
Api = Literal["chat", "completion"]
Conversion = Literal["strict", "nullable", "none"]

VALUE_TYPES: tuple[str, ...] = get_args(ValueType)
NODE_TYPES: tuple[str, ...] = get_args(NodeType)


class Step(Struct, frozen=True):
    """One step of a property path.

    Attributes:
        kind: ``word`` (``.a``: an item of a dict, else an attribute), ``key`` (``['a']``) or ``index`` (``[0]``).
        value: The word, the key or the number.
    """

    kind: Literal["word", "key", "index"]
    value: str | int


class LiteralValue(Struct, frozen=True, kw_only=True):
    """A value that stands in the file itself."""

    value: Any
    where: str = ""


class Reference(Struct, frozen=True, kw_only=True):
    """A whole-string ``${...}``.

    Attributes:
        source: ``input`` for a flow input, ``node`` for the output of a node.
        name: The flow input or node.
        path: Steps into the node's output; empty for a flow input.
        text: The reference as written.
        where: Its ``file:line``.
    """

    source: Literal["input", "node"]
    name: str
    path: tuple[Step, ...] = ()
    text: str
    where: str = ""


InputValue = LiteralValue | Reference


class FlowInput(Struct, frozen=True, kw_only=True):
    """A declared input.

    Attributes:
        name: Its name.
        type: What values are brought to.
        default: What holds where nothing is given.
        has_default: False for a missing or null default.
        default_in_code: Whether the default is that of a Python parameter: an input that is not given is left out.
        conversion: ``nullable``: null stays null; ``none``: values stay as they are, since nothing says their type.
        description: For people.
        enum: The values allowed, for people.
        is_chat_input: Whether it is the user's message of a chat.
        is_chat_history: Whether it is what was said before.
        where: Its ``file:line``.
    """

    name: str
    type: ValueType
    default: Any = None
    has_default: bool = False
    default_in_code: bool = False
    conversion: Conversion = "strict"
    description: str = ""
    enum: tuple[Any, ...] = ()
    is_chat_input: bool = False
    is_chat_history: bool = False
    where: str = ""


class FlowOutput(Struct, frozen=True, kw_only=True):
    """A declared output and what it is read from."""

    name: str
    type: ValueType
    reference: InputValue
    description: str = ""
    evaluation_only: bool = False
    is_chat_output: bool = False
    where: str = ""


class ToolSource(Struct, frozen=True, kw_only=True):
    """Where a node's code or template is.

    Attributes:
        type: ``code`` (a file of the flow), ``package`` (an installed tool) or ``package_with_prompt`` (both).
        path: The file, relative to the flow's folder.
        tool: The id of a package tool.
        where: Its ``file:line``.
    """

    type: SourceType = "code"
    path: str | None = None
    tool: str | None = None
    where: str = ""


class Activate(Struct, frozen=True, kw_only=True):
    """Run the node if and only if ``when`` equals ``expected`` (written ``is`` in the file)."""

    when: InputValue
    expected: Any
    where: str = ""


class Node(Struct, frozen=True, kw_only=True):
    """One node; where variants are in use, ``variant`` is the id of the one that it was taken from."""

    name: str
    type: NodeType
    source: ToolSource
    inputs: dict[str, InputValue] = field(default_factory=dict)
    connection: str | None = None
    api: Api = "chat"
    provider: str | None = None
    module: str | None = None
    tool: str | None = None
    use_variants: bool = False
    aggregation: bool = False
    activate: Activate | None = None
    enable_cache: bool = False
    comment: str = ""
    variant: str | None = None
    where: str = ""

    @property
    def references(self) -> tuple[Reference, ...]:
        """The references of its inputs, then that of its activate condition."""
        values = [*self.inputs.values(), *((self.activate.when,) if self.activate else ())]
        return tuple(value for value in values if isinstance(value, Reference))


class Variant(Struct, frozen=True, kw_only=True):
    """One way to do a node's work."""

    id: str
    node: Node
    description: str = ""
    where: str = ""


class NodeVariants(Struct, frozen=True, kw_only=True):
    """All variants of one node by their ids, and the id of the default."""

    node: str
    default: str
    variants: dict[str, Variant]
    where: str = ""


class Include(Struct, frozen=True, kw_only=True):
    """A file or folder from outside that becomes part of the flow's folder.

    Attributes:
        source: Where it is.
        target: Its name in the flow's folder.
        compress: Whether the folder ``source`` becomes the zip file ``target``.
    """

    source: Path
    target: str
    compress: bool = False


class FlowEnvironment(Struct, frozen=True, kw_only=True):
    """What the flow asks of its machine; kept for the container that is built from it."""

    python_requirements_txt: str | None = None
    image: str | None = None
    conda_file: str | None = None
    setup_sh: str | None = None


class PromptyTool(Struct, frozen=True, kw_only=True):
    """A tool that a prompty offers to its model.

    Attributes:
        name: Its name.
        declaration: What the model is told of it, in OpenAI's form; arguments that are bound are not in it.
        path: The prompty that answers its calls; None leaves the calls to whoever runs the prompty.
        agentic: Whether that prompty may call tools of its own.
        bindings: Argument -> input of this prompty that it takes its value from.
        where: Its ``file:line``.
    """

    name: str
    declaration: dict[str, Any]
    path: Path | None = None
    agentic: bool = False
    bindings: dict[str, str] = field(default_factory=dict)
    where: str = ""


class Prompty(Struct, frozen=True, kw_only=True):
    """The model and the template of a prompty; references to the environment are resolved when it is opened.

    Attributes:
        dialect: ``v1`` is prompt flow's, ``v2`` Prompty's own.
        api: ``chat`` or ``completion``.
        type: Type of the connection that the file itself describes; empty where it does not.
        configuration: Fields of that connection, by our names.
        parameters: What is sent to the model beside the prompt, ``model`` included.
        response: ``first``: the first answer; ``all``: the whole response.
        template: The text behind the front matter.
        format: The template's language.
        guarded: Whether only the file itself may begin a message, and no input.
        kinds: The inputs that stand for more than text: ``thread``, ``image``, ``file`` or ``audio``, by name.
        structured: Whether the answer is an object that has the declared outputs.
        tools: What the model may call.
        line: Lines before the template in the file.
        where: ``file:line`` of the model.
    """

    dialect: Literal["v1", "v2"] = "v1"
    api: Api = "chat"
    type: str = ""
    configuration: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    response: Literal["first", "all"] = "first"
    template: str = ""
    format: Literal["jinja2", "mustache"] = "jinja2"
    guarded: bool = True
    kinds: dict[str, str] = field(default_factory=dict)
    structured: bool = False
    tools: tuple[PromptyTool, ...] = ()
    line: int = 0
    where: str = ""


class InitParameter(Struct, frozen=True, kw_only=True):
    """A parameter of the class of a flex flow.

    Attributes:
        name: Its name.
        type: The name of its type: that of a connection class, a model configuration, or a plain type.
        has_default: Whether the class can be made without it.
        where: ``file:line`` of what says so.
    """

    name: str
    type: str = ""
    has_default: bool = False
    where: str = ""


class Flow(Struct, frozen=True, kw_only=True):
    """A checked flow.

    Attributes:
        kind: Which of the file formats it was read from.
        name: Its `name`, else the name of its folder.
        path: The file it was read from.
        digest: SHA-256 of the flow's files and includes: the same content is the same version.
        inputs: By name, in file order.
        outputs: By name, in file order; those that read an aggregation node are left out, with a note.
        nodes: In an order in which every node stands behind what it needs, with the chosen variants in place.
        node_variants: By node.
        variants: The variant in use, by node.
        environment_variables: Set before the flow's code is imported.
        additional_includes: Files and folders from outside.
        notes: What a reader of the file should know: things ignored, dropped or likely mistaken.
        type: ``standard``, ``evaluation``, ``chat`` or what else the file says.
        entry: ``module:name`` of a flex flow.
        prompty: Model and template of a prompty.
        init: Parameters of the class of a flex flow.
        init_values: What they are given; references to the environment and to files are resolved when it is opened.
        init_sample: What they are given where a run gives none of them.
        sample: Inputs of a flex flow or prompty for a line that is given none.
        target: The function, class or instance itself, where the flow was made of one that lives in this process.
    """

    kind: FlowKind = "dag"
    name: str
    path: Path
    digest: str = ""
    inputs: dict[str, FlowInput] = field(default_factory=dict)
    outputs: dict[str, FlowOutput] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    node_variants: dict[str, NodeVariants] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    environment_variables: dict[str, str] = field(default_factory=dict)
    environment: FlowEnvironment = FlowEnvironment()
    additional_includes: tuple[Include, ...] = ()
    message_format: Literal["basic", "openai-vision"] = "basic"
    type: str = "standard"
    language: str = "python"
    display_name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    entry: str | None = None
    prompty: Prompty | None = None
    init: dict[str, InitParameter] = field(default_factory=dict)
    init_values: dict[str, LiteralValue] = field(default_factory=dict)
    init_sample: dict[str, LiteralValue] = field(default_factory=dict)
    sample: dict[str, Any] = field(default_factory=dict)
    target: Any = None

    @property
    def folder(self) -> Path:
        """The folder of the flow's file."""
        return self.path.parent

    @property
    def gives_all(self) -> bool:
        """Whether its outputs are the items of what its one node gives, rather than references."""
        return self.kind != "dag"

    @property
    def has_aggregation(self) -> bool:
        """Whether some node runs once, after all lines."""
        return any(node.aggregation for node in self.nodes)

    @property
    def literals(self) -> tuple[Any, ...]:
        """What stands in the file itself as inputs of nodes and arguments of a class: some name connections."""
        values = [item for node in self.nodes for item in node.inputs.values()]
        values += [*self.init_values.values(), *self.init_sample.values()]
        found: list[Any] = [item.value for item in values if isinstance(item, LiteralValue)]
        # A mapping of model settings may name its connection.
        inner = [cast("dict[str, Any]", item).get("connection") for item in found if isinstance(item, dict)]
        return (*found, *inner)

    def node(self, name: str) -> Node | None:
        """Return one node by its name."""
        return next((node for node in self.nodes if node.name == name), None)
