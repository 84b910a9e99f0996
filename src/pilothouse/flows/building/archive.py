"""Zip files whose bytes depend on nothing but their content; the installed Pilothouse as a wheel."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib.metadata import Distribution
from pathlib import Path

from pilothouse.core.errors import StorageError

# A zip file cannot say an earlier day.
_DAY = (1980, 1, 1, 0, 0, 0)
_PACKAGE = Path(__file__).parents[2]
# What an installer adds to the metadata; it says how this copy came here.
_OF_THE_INSTALLER = frozenset({"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"})


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip file of ``files`` by their names."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return made.getvalue()


def packed(distribution: Distribution) -> tuple[str, bytes]:
    """Return the running Pilothouse as a wheel: its file name and content. Nothing is built or fetched.

    Args:
        distribution: Its installed metadata.

    Raises:
        StorageError: when its files cannot be read.
    """
    release = f"{distribution.name}-{distribution.version}"
    about = f"{release}.dist-info"
    try:
        files = {
            f"{_PACKAGE.name}/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes()
            for path in _PACKAGE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        for item in distribution.files or ():
            if item.parts[0] == about and item.name not in _OF_THE_INSTALLER:
                files[item.as_posix()] = Path(str(item.locate())).read_bytes()
    except OSError as error:
        raise StorageError(f"Pilothouse's own files cannot be read: {error.strerror}", where=str(_PACKAGE)) from error
    rows = [f"{name},sha256={_hash(files[name])},{len(files[name])}" for name in sorted(files)]
    files[f"{about}/RECORD"] = "\n".join([*rows, f"{about}/RECORD,,", ""]).encode()
    return f"{release}-py3-none-any.whl", zipped(files)


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
