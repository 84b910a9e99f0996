"""Ask everything, and write `docs/gateway-clients.md`."""

from __future__ import annotations

import asyncio

from . import endpoints, errors, local, matrix
from .page import PAGE, page


async def main() -> None:
    """Write the page."""
    found = page(await matrix.outcomes(), await endpoints.outcomes(), await errors.outcomes(), await local.outcomes())
    PAGE.write_text(found)


asyncio.run(main())
