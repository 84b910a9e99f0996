"""Run the matrix and write `docs/gateway-faults.md`."""

from __future__ import annotations

import asyncio

from .matrix import PAGE, outcomes, page

PAGE.write_text(page(asyncio.run(outcomes("openai", metered=False))))
