"""Experiments logged to trackers."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pilothouse.core.errors import ConfigError
from pilothouse.core.services import Services
from pilothouse.experiments.service import ExperimentService
from pilothouse.experiments.settings import ExperimentSettings
from pilothouse.experiments.tracking.content import tracked_of
from pilothouse.experiments.tracking.mlflow.publishing import MlflowTracker
from pilothouse.experiments.tracking.targets import MLFLOW, address_of, folder_of, split
from pilothouse.experiments.tracking.types import Logged, Tracker
from pilothouse.experiments.tracking.wandb.offline import WandbTracker


class TrackingService:
    """Logs experiments of a project elsewhere.

    Args:
        services: The project.
        experiments: Its experiments.
        default: Where they go unless said otherwise; None = it must be said.
    """

    def __init__(self, services: Services, experiments: ExperimentService, default: str | None) -> None:
        self._services = services
        self._experiments = experiments
        self._default = default

    @classmethod
    def build(cls, services: Services) -> Self:
        """Return the tracking of a project."""
        settings = services.settings.section(ExperimentSettings)
        return cls(services, services.get(ExperimentService), settings.tracking)

    @property
    def default(self) -> str | None:
        """Where experiments go unless said otherwise."""
        return self._default

    def log(self, ref: str, target: str | None = None, group: str | None = None) -> Logged:
        """Log an experiment; logged again, what is there is updated and not doubled.

        Args:
            ref: The experiment: name, ``name:number``, id or ``latest``.
            target: ``mlflow:http://host:5000`` or ``wandb:folder``; the setting ``experiments.tracking`` when absent.
            group: Name of the MLflow experiment or W&B project; the experiment's own when absent.

        Raises:
            ConfigError: there is no target, it is none, its package is missing, or it refuses access.
            NotFound: there is no such experiment.
            Conflict: it has not been run to its end.
            StorageError: the target does not answer; the same call goes on from there.
        """
        tracker = self._tracker(target or self._default)
        record, found = self._experiments.get(ref), self._experiments.comparison(ref)
        results = self._experiments.arms(record)
        folder = self._services.root / record.report if record.report else None
        names = ("report.html", "rows.csv", "summary.csv")
        files: tuple[Path, ...] = tuple(folder / name for name in names) if folder is not None else ()
        return tracker.log(tracked_of(record, found, results, self._services.root, files), group)

    def _tracker(self, target: str | None) -> Tracker:
        if not target:
            raise ConfigError(
                "it is not said where to log to",
                expected="--to mlflow:http://host:5000 or --to wandb:FOLDER",
                fix="or write into pilothouse.yaml: experiments: {tracking: 'mlflow:http://host:5000'}",
            )
        environment = self._services.settings.environment
        if split(target)[0] == MLFLOW:
            return MlflowTracker(self._services, address_of(target, environment), environment)
        return WandbTracker(folder_of(target, self._services.root))
