import asyncio

from promptflow.core import tool


@tool
async def one(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1
