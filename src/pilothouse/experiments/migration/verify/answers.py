"""Nodes answered from the record: they are prepared as usual, what they are given is compared, nothing is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from msgspec.structs import replace

from pilothouse.core.errors import ConnectionFault, DataError, NotFound, PilothouseError, nearest_hint
from pilothouse.experiments.migration.history.types import RecordedNode, RecordedRow
from pilothouse.experiments.migration.verify.compare import differences
from pilothouse.experiments.migration.verify.types import Difference, Rules
from pilothouse.flows.dag.problems import Problems
from pilothouse.flows.nodes.modules import FlowModules
from pilothouse.flows.nodes.work import Answer, Mode, NodeContext, Work
from pilothouse.flows.prompts.images import plain
from pilothouse.flows.results import AggregationResult, LineResult
from pilothouse.flows.runner import FlowRunner
from pilothouse.flows.types import Flow, LiteralValue, Node

_LINE: ContextVar[int | None] = ContextVar("recorded_line", default=None)


class Answers:
    """Recorded answers of some nodes.

    Args:
        rows: Recorded rows by the number that the replay gives to them.
        aggregation: What nodes did that ran once, after all rows.
        nodes: The nodes that are answered.
        rules: When what a node is given counts as alike.

    Attributes:
        nodes: The same.
        different: Row id -> places where a node was given something else than in the record.
    """

    def __init__(
        self,
        rows: Mapping[int, RecordedRow],
        aggregation: Mapping[str, RecordedNode],
        nodes: frozenset[str],
        rules: Rules,
    ) -> None:
        self.nodes = nodes
        self.different: dict[str, tuple[Difference, ...]] = {}
        self._rows = rows
        self._aggregation = aggregation
        self._rules = rules

    def instead(self, work: Work, name: str, prepare: Callable[[dict[str, Any]], Any] | None) -> Work:
        """Return work that answers from the record in place of a node's own."""

        def check(arguments: dict[str, Any]) -> dict[str, Any]:
            # A template that cannot be rendered fails here as it would in earnest.
            if prepare is not None:
                prepare(arguments)
            return arguments

        async def send(arguments: dict[str, Any]) -> Answer:
            return Answer(output=self._answer(name, arguments))

        return replace(
            work,
            mode=Mode.LOOP,
            function=None,
            prepare=check,
            send=send,
            runs_user_code=False,
            cacheable=False,
            slots=None,
        )

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        place = _LINE.get()
        row = self._rows.get(place) if place is not None else None
        nodes = self._aggregation if place is None else row.nodes if row is not None else {}
        known = nodes.get(name)
        if known is None or known.state != "completed":
            state = "never began" if known is None else "was bypassed" if known.state == "bypassed" else "failed"
            reason = f": {known.error}" if known is not None and known.error else ""
            raise DataError(f"the record has no answer of node '{name}' here: it {state} there{reason}")
        if row is not None and known.inputs is not None:
            given = {key: plain(arguments[key]) for key in known.inputs if key in arguments}
            recorded = {key: known.inputs[key] for key in given}
            found = tuple(
                replace(item, path=f"node {name}, input {item.path.removeprefix('$.')}")
                for item in differences(recorded, given, self._rules)
            )
            if found:
                self.different[row.id] = (*self.different.get(row.id, ()), *found)
        return known.output


def model_nodes(flow: Flow) -> tuple[str, ...]:
    """Return the nodes that ask a model as such; what Python code asks by itself, nobody can tell."""
    return tuple(node.name for node in flow.nodes if flow.kind == "prompty" or _asks(node))


def _asks(node: Node) -> bool:
    tool = node.source.tool or ""
    return node.type in {"llm", "custom_llm"} or tool.startswith("promptflow.tools.")


def chosen_nodes(flow: Flow, names: Sequence[str], *, models: bool) -> frozenset[str]:
    """Return the nodes to be answered from the record.

    Raises:
        NotFound: for a node that the flow does not have.
    """
    known = [node.name for node in flow.nodes]
    for name in names:
        if name not in known:
            raise NotFound(f"the flow has no node '{name}'", expected=nearest_hint(name, known))
    return frozenset((*names, *(model_nodes(flow) if models else ())))


class ReplayRunner(FlowRunner):
    """Runs a flow some of whose nodes are answered from a record. No connection is needed for those.

    Args:
        flow: The flow.
        answers: What the record says.
        given: What `FlowRunner` takes.
    """

    def __init__(self, flow: Flow, *, answers: Answers, **given: Any) -> None:
        super().__init__(flow, **given)
        self._answers = answers

    async def run_line(self, inputs: Mapping[str, Any], *, line_number: int | None = 0, repeat: int = 0) -> LineResult:
        """Run one line; see `FlowRunner`."""
        token = _LINE.set(line_number)
        try:
            return await super().run_line(inputs, line_number=line_number, repeat=repeat)
        finally:
            _LINE.reset(token)

    async def aggregate(self, lines: Sequence[LineResult]) -> AggregationResult:
        """Aggregate; see `FlowRunner`."""
        token = _LINE.set(None)
        try:
            return await super().aggregate(lines)
        finally:
            _LINE.reset(token)

    def _works(self, context: NodeContext, modules: FlowModules, problems: Problems) -> dict[str, Work]:
        works = super()._works(context, modules, problems)
        if self.flow.kind == "dag":
            return works
        return {
            name: self._replayed(name, work) if name in self._answers.nodes else work for name, work in works.items()
        }

    def _open_node(self, node: Node, context: NodeContext, modules: FlowModules) -> Work:
        if node.name not in self._answers.nodes:
            return super()._open_node(node, context, modules)
        try:
            return self._replayed(node.name, super()._open_node(node, context, modules))
        except (ConnectionFault, NotFound):
            return self._replayed(node.name, _stand_in(node))
        except PilothouseError:
            # A node without a connection, or one whose connection nobody gave, can be answered all the same.
            if context.models is not None and node.connection:
                raise
            return self._replayed(node.name, _stand_in(node))

    def _replayed(self, name: str, work: Work) -> Work:
        return self._answers.instead(work, name, work.prepare)


def _stand_in(node: Node) -> Work:
    """Return work that only carries the literal inputs of a node."""
    constants = {
        name: value.value
        for name, value in node.inputs.items()
        if isinstance(value, LiteralValue) and value.value not in (None, "")
    }
    return Work(
        mode=Mode.LOOP, constants=constants, optional=frozenset(node.inputs), fingerprint=f"recorded {node.name}"
    )
