"""The scheduler: nodes of one line run as soon as what they read is there, side by side where the graph allows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any, cast

from pilothouse.flows.cache import CachedAnswer, NodeCache, cache_key, decode_answer, encode_answer
from pilothouse.flows.nodes.python import read_out
from pilothouse.flows.nodes.work import Answer, Bare, Mode, iterates, iterates_async
from pilothouse.flows.running.line import Line, TimeLimit
from pilothouse.flows.running.plan import PlanNode
from pilothouse.flows.running.threads import ToolThreads

Ran = tuple[int, ...]
"""Places of nodes that ran, one behind the other."""


def run_in_order(line: Line, deadline: float | None) -> bool:
    """Run a line whose nodes are all sync, in this thread, one behind the other.

    Args:
        line: The line.
        deadline: Seconds of the performance counter after which no node begins; None for no limit.

    Returns:
        Whether it ended in time.
    """
    for node in line.plan.nodes:
        if line.stopped:
            return True
        if deadline is not None and perf_counter() > deadline:
            return False
        line.run(node)
    return True


class Scheduler:
    """Runs the nodes of lines on the event loop and in threads.

    Args:
        threads: For sync tools.
        cache: Answers in place of nodes that may be cached.
        node_timeout: Seconds a node may take; None for no limit.
    """

    def __init__(self, threads: ToolThreads, cache: NodeCache | None, node_timeout: float | None) -> None:
        self._threads = threads
        self._cache = cache
        self._node_timeout = node_timeout

    async def run(self, line: Line, repeat: int = 0) -> None:
        """Run all nodes of a line. When cancelled, no task of it is left, and no further node begins."""
        nodes = line.plan.nodes
        waiting = [len(node.dependencies) for node in nodes]
        ready = deque(line.plan.roots)
        begun = _Begun()
        try:
            while (ready and not line.stopped) or begun.nodes:
                while ready and not line.stopped:
                    node = nodes[ready.popleft()]
                    if line.results[node.index] is not None:
                        continue
                    ran = self._at_once(line, node)
                    if ran is None and not node.is_threaded and not begun.nodes and not ready:
                        # Nothing else to do: no task is needed to wait for it.
                        ran = await self._run_node(line, node, repeat)
                    if ran is not None:
                        ready.extend(_freed(line, ran, waiting))
                    elif node.is_threaded:
                        begun.add(self._threads.submit(partial(_run_chain, line, node)), node)
                    else:
                        begun.add(asyncio.create_task(self._run_node(line, node, repeat)), node)
                if begun.nodes:
                    ready.extend(_freed(line, await begun.ended(line), waiting))
        except BaseException:
            line.stopped = True
            await begun.cancel()
            raise

    def _at_once(self, line: Line, node: PlanNode) -> Ran | None:
        """Bypass a node or run short work of our own; None when the node has to be waited for."""
        if line.plan.can_bypass and line.bypasses(node):
            return (node.index,)
        if node.work.mode is Mode.INLINE:
            line.run(node)
            return (node.index,)
        return None

    async def _run_node(self, line: Line, node: PlanNode, repeat: int) -> Ran:
        """Run a node on the loop."""

        async def send(item: PlanNode, prepared: Any) -> tuple[Answer, bool]:
            if self._node_timeout is None:
                return await self._answer(item, prepared, repeat)
            limit = asyncio.timeout(self._node_timeout)
            try:
                async with limit:
                    return await self._answer(item, prepared, repeat)
            except TimeoutError as error:
                if limit.expired():
                    raise TimeLimit(f"node '{item.name}' took longer than {self._node_timeout:g} s") from error
                raise

        await line.run_async(node, send)
        return (node.index,)

    async def _answer(self, node: PlanNode, prepared: Any, repeat: int) -> tuple[Answer, bool]:
        key = cache_key(node.work.fingerprint, prepared, repeat) if node.work.cacheable else None
        if self._cache is None or key is None:
            return await self._send(node, prepared), False
        data = await self._cache.get(key)
        known = decode_answer(data) if data is not None else None
        if known is not None:
            return (
                Answer(output=known.output, usage=known.usage, provider=known.provider, model=known.model),
                True,
            )
        answer = await self._send(node, prepared)
        # A cached answer is as good as a new one but for the class of its mapping, which only a server looks at.
        output = dict(answer.output) if type(answer.output) is Bare else answer.output
        kept = encode_answer(
            CachedAnswer(output=output, usage=answer.usage, provider=answer.provider, model=answer.model)
        )
        if kept is not None:
            await self._cache.put(key, kept)
        return answer, False

    async def _send(self, node: PlanNode, prepared: Any) -> Answer:
        if node.work.send is not None:
            return await node.work.send(prepared)
        function = cast("Callable[..., Any]", node.work.function)
        return Answer(output=await self._threads.run(lambda: _called(function, prepared)))


def _called(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    output = function(**arguments)
    return read_out(output) if iterates(output) or iterates_async(output) else output


def _run_chain(line: Line, head: PlanNode) -> Ran:
    """Run a sync tool, and behind it in the same thread the nodes chained to it; return those that ran."""
    line.run(head)
    ran = [head.index]
    for index in head.chain:
        if line.stopped:
            break
        line.run(line.plan.nodes[index])
        ran.append(index)
    return tuple(ran)


def _freed(line: Line, ran: Iterable[int], waiting: list[int]) -> list[int]:
    """Count off what ran; return the nodes that wait for nothing any more, in the flow's order."""
    free: list[int] = []
    for index in ran:
        for other in line.plan.nodes[index].dependents:
            waiting[other] -= 1
            if waiting[other] == 0:
                free.append(other)
    return sorted(free)


class _Begun:
    """Nodes of a line that have begun and not ended.

    Each tells its end by itself: to ask all of them after every end would cost the square of their number.

    Attributes:
        nodes: The nodes by what they are waited for with.
    """

    __slots__ = ("_ended", "_waiter", "nodes")

    def __init__(self) -> None:
        self.nodes: dict[asyncio.Future[Ran], PlanNode] = {}
        self._ended: list[asyncio.Future[Ran]] = []
        self._waiter: asyncio.Future[None] | None = None

    def add(self, future: asyncio.Future[Ran], node: PlanNode) -> None:
        """Take a node that has begun."""
        self.nodes[future] = node
        future.add_done_callback(self._note)

    async def ended(self, line: Line) -> list[int]:
        """Wait until some node ends; return what ran. After a failure the others are stopped and waited for."""
        if line.stopped:
            for future, node in self.nodes.items():
                # A tool in a thread cannot be stopped: it is waited for, so that nothing of the line goes on.
                if not node.is_threaded:
                    future.cancel()
        if not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        ended, self._ended = self._ended, []
        ran: list[int] = []
        for future in ended:
            del self.nodes[future]
            if not future.cancelled():
                ran += future.result()
        return ran

    async def cancel(self) -> None:
        """Stop all that can be stopped, and wait for it."""
        for future in self.nodes:
            future.cancel()
        await asyncio.gather(*self.nodes, return_exceptions=True)

    def _note(self, future: asyncio.Future[Ran]) -> None:
        self._ended.append(future)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
