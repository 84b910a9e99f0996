"""Moves the weights of bandits while the gateway serves, beside the calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from pilothouse.core.errors import PilothouseError
from pilothouse.gateway.routing.feedback.service import FeedbackService
from pilothouse.gateway.settings import TrafficExperiment

Weights = Mapping[str, Mapping[str, float]]


class BanditTuner:
    """Computes weights from feedback every so many seconds, in a thread of its own.

    When a weight moves, units move with it: a unit's arm follows the weights that hold at its call, and the ledger row
    of each call carries the arm that it had. As few units move as can be.

    Args:
        service: Where feedback is.
        experiments: All experiments in force; asked for each time.
        apply: Takes the weights, as `Router.set_weights` does; called in the tuner's thread.
        broken: Told why weights could not be computed; those before stay.
        seconds: Between two times.
    """

    def __init__(
        self,
        service: FeedbackService,
        experiments: Callable[[], Iterable[TrafficExperiment]],
        apply: Callable[[Weights], None],
        broken: Callable[[PilothouseError], None],
        *,
        seconds: float = 30.0,
    ) -> None:
        self._service = service
        self._experiments = experiments
        self._apply = apply
        self._broken = broken
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, with a first computation at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gateway-bandits", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; a computation under way is waited for."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def tune(self) -> None:
        """Compute and apply weights once."""
        try:
            self._apply(self._service.weights(self._experiments()))
        except PilothouseError as error:
            self._broken(error)

    def _run(self) -> None:
        while True:
            try:
                self.tune()
            except Exception as error:  # noqa: BLE001 - the door of a thread: what dies here would never be noticed
                self._broken(PilothouseError(f"moving weights failed: {type(error).__name__}: {error}"))
            if self._stop.wait(self._seconds):
                return
