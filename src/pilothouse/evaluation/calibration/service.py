"""Calibrations that were made: each is kept for good, bound to the version of the judge that it was made with."""

from __future__ import annotations

from typing import Self

import msgspec

from pilothouse.core.canonical import canonical_json
from pilothouse.core.errors import DataError, NotFound
from pilothouse.core.services import Services
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.evaluation.calibration.types import Calibration
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import Version

KIND = "calibration"


class CalibrationService:
    """Keeps calibrations: the record as a blob, its place in time as a version in the registry."""

    def __init__(self, registry: RegistryService, blobs: BlobStore) -> None:
        self._registry = registry
        self._blobs = blobs

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the calibrations of a project."""
        return cls(services.get(RegistryService), services.get(BlobStore))

    def keep(self, found: Calibration) -> Version:
        """Record a calibration; the same one again is the version it was before.

        Raises:
            DataError: it holds nothing: no labelled row has a verdict.
        """
        if not found.n or not found.version:
            raise DataError(
                f"the judge '{found.judge}' cannot be calibrated: no labelled row has a verdict",
                expected="labels whose ids are those of judged rows",
            )
        told = {"judge": found.judge, "kappa": found.kappa, "n": found.n}
        digest = self._blobs.put(canonical_json(msgspec.to_builtins(found)))
        return self._registry.register(KIND, found.version, digest, metadata=told)[0]

    def latest(self, version: str) -> Calibration | None:
        """Return the last calibration of a judge's version; None for one that was never calibrated."""
        try:
            kept = self._registry.resolve(f"{KIND}/{version}")
        except NotFound:
            return None
        return self._read(kept)

    def list(self) -> tuple[tuple[Version, Calibration], ...]:
        """Return the last calibration of every judge's version, the latest first."""
        try:
            kept = self._registry.list(KIND)
        except NotFound:
            return ()
        return tuple((item, self._read(item)) for item in sorted(kept, key=lambda item: item.created_at, reverse=True))

    def _read(self, kept: Version) -> Calibration:
        return msgspec.json.decode(self._blobs.get(kept.digest), type=Calibration)
