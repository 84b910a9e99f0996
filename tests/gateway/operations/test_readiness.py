"""Readiness, a full disk, a Redis that is away, a parent that is killed, and the notice before the end."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from pathlib import Path

import aiohttp

from ..mock.upstream import MockUpstream
from .gateways import Running, ledger, make_keys, serving, settings, until, write_project

LIMITS = [{"name": "money", "each": "key", "dollars": 100, "per": "total"}]


async def ask(gateway: Running, key: str) -> tuple[int, str, str]:
    """Return status, code of an error, and the call's id."""
    body = {"model": "quick", "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers) as answer,
    ):
        said = await answer.json()
        return answer.status, said.get("error", {}).get("code", ""), answer.headers["x-pilothouse-call"]


def room_for_files(process: int, size: int) -> None:
    """Let no file of a process grow beyond so many bytes: to it, the disk is full."""
    _, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, most))


def test_a_full_disk_refuses_what_costs_money_until_there_is_room_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with MockUpstream() as mock:
            write_project(tmp_path, mock.url, settings(limits=LIMITS))
            key = make_keys(tmp_path, "ann")["ann"]
            async with serving(tmp_path) as gateway:
                good = [await ask(gateway, key)]
                await gateway.readiness(200, status="ready")
                room_for_files(gateway.process.pid, 0)
                while (one := await ask(gateway, key))[0] == 200:
                    good.append(one)
                await gateway.readiness(503, status="not ready")
                assert (await ask(gateway, key))[:2] == (503, "limits_unavailable")
                assert gateway.process.returncode is None
                room_for_files(gateway.process.pid, resource.RLIM_INFINITY)
                await gateway.readiness(200, status="ready")
                good.append(await ask(gateway, key))
                assert await gateway.end() == 0
        assert {status for status, _, _ in good} == {200}
        rows = [row.entry.id for row in ledger(tmp_path) if row.entry.status == "ok"]
        assert sorted(rows) == sorted(call for _, _, call in good), "each that was served is there, once"

    asyncio.run(scenario())


def test_a_gateway_without_its_redis_listens_and_is_not_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with MockUpstream() as mock:
            redis = f"unix://{tmp_path}/nobody"
            write_project(tmp_path, mock.url, settings(limits=LIMITS, redis=redis))
            key = make_keys(tmp_path, "ann")["ann"]
            async with serving(tmp_path) as gateway:
                await gateway.readiness(503, status="not ready")
                assert (await ask(gateway, key))[:2] == (503, "limits_unavailable")
                assert await gateway.end() == 0

    asyncio.run(scenario())


def test_calls_are_taken_during_the_notice_though_readiness_says_no(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with MockUpstream() as mock:
            write_project(tmp_path, mock.url, settings(notice=60))
            key = make_keys(tmp_path, "ann")["ann"]
            async with serving(tmp_path) as gateway:
                gateway.process.send_signal(signal.SIGTERM)
                await gateway.readiness(503, status="draining")
                assert (await ask(gateway, key))[0] == 200
                assert await gateway.end() == 0  # a second signal ends the notice, too

    asyncio.run(scenario())


def test_the_time_to_drain_can_be_given_and_then_cuts(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, str]:
        async with MockUpstream() as mock:
            content = settings(access="open")
            endless = {"connection": "mock", "model": "mock-tokens=100000-pace=20"}
            content["gateway"]["routes"]["endless"] = {"deployments": [endless]}
            write_project(tmp_path, mock.url, content)
            async with serving(tmp_path, "--drain", "1") as gateway:
                body = {"model": "endless", "messages": [{"role": "user", "content": "hi"}], "stream": True}
                async with aiohttp.ClientSession() as session:
                    address = f"{gateway.url}/v1/chat/completions"
                    async with session.post(address, json=body) as answer:
                        await answer.content.readline()
                        code = await gateway.end()
                return code, gateway.said

    code, said = asyncio.run(scenario())
    assert code == 1, "a call was cut, which the exit code tells"
    assert "1 calls are in flight" in said


def test_workers_end_when_the_process_over_them_is_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with MockUpstream() as mock:
            write_project(tmp_path, mock.url, settings(access="open"))
            async with serving(tmp_path, "--workers", "2") as gateway:
                workers = gateway.children()
                assert len(workers) == 2
                gateway.process.send_signal(signal.SIGKILL)
                await until(lambda: not any(map(alive, workers)), lambda: "the workers' end")
                host, port = gateway.url.removeprefix("http://").split(":")
                with socket.create_server((host, int(port))):
                    pass  # the address is free again

    asyncio.run(scenario())


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
