"""Images of a recorded run: files beside the record, taken into the values that name them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

_PATH = re.compile(r"data:(?P<type>[\w.+/-]+);path")


def with_images(value: Any, folders: Sequence[Path]) -> Any:
    """Return ``value`` with the content of each image file in place of its path, which was made on another machine.

    Args:
        value: Any JSON value.
        folders: Where the files are, by their names; an image that is nowhere keeps its path.
    """
    if isinstance(value, list):
        return [with_images(item, folders) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found = cast("dict[str, Any]", value)
    if len(found) == 1:
        key, content = next(iter(found.items()))
        match = _PATH.fullmatch(key)
        if match and isinstance(content, str):
            # A record of Windows has backslashes.
            name = content.replace("\\", "/").rpartition("/")[2]
            data = next((file.read_bytes() for folder in folders if (file := folder / name).is_file()), None)
            if data is not None:
                return {f"data:{match['type']};base64": base64.b64encode(data).decode()}
    return {key: with_images(item, folders) for key, item in found.items()}
