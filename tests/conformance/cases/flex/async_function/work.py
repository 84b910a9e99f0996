import asyncio


async def run(text: str) -> str:
    await asyncio.sleep(0)
    return text[::-1]
