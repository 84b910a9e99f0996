"""Which calls are recorded: drawn from the call's id, so that every process and every run says the same."""

from __future__ import annotations

from zlib import crc32

from pilothouse.gateway.settings import CaptureSettings


def threshold(settings: CaptureSettings) -> int:
    """Return below which draw calls are recorded; 0 for none."""
    return round(settings.sample * 2**32) if settings.mode != "off" else 0


def is_recorded(call_id: str, below: int) -> bool:
    """Tell whether a call is recorded.

    Args:
        call_id: The call.
        below: From ``threshold``.
    """
    return below > 0 and crc32(call_id.encode("utf-8", "replace")) < below
