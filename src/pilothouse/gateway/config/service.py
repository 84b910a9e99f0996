"""Versions of the gateway's configuration: which is in force, what was, and how to change it while it serves.

Every state is a version in the registry (kind and name ``gateway``), its content a blob. The alias ``active`` points to
the one in force, the alias ``file`` to what `pilothouse.yaml` said when it was last taken in. Nothing becomes active
that has not been checked as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import msgspec
from msgspec import UnsetType

from pilothouse.access.types import Actor
from pilothouse.core.canonical import canonical_json, digest
from pilothouse.core.errors import ConfigError, Conflict, NotFound, StorageError, nearest_hint
from pilothouse.core.services import Services
from pilothouse.core.settings import FILE as FILE_NAME
from pilothouse.core.storage.blobs import BlobStore
from pilothouse.gateway.config.compilation import check_settings, place_in, unplaced
from pilothouse.gateway.config.documents import (
    Document,
    Path,
    differences,
    document_of,
    edited,
    full_document,
    settings_of,
)
from pilothouse.gateway.config.naming import deployment_id
from pilothouse.gateway.config.types import ActiveConfig, ConfigChange, ConfigMove, ConfigVersion, Origin
from pilothouse.gateway.settings import GatewaySettings
from pilothouse.models.connections import ConnectionSpec
from pilothouse.models.service import ModelService
from pilothouse.registry.service import RegistryService
from pilothouse.registry.types import Version

KIND: Final = "gateway"
NAME: Final = "gateway"
ACTIVE: Final = "active"
FILE: Final = "file"

_TRIES: Final = 8
_LONGEST_NOTE: Final = 500

Change = Callable[[GatewaySettings], Document]
Check = Callable[[GatewaySettings, GatewaySettings | None], None]
"""Raises ``ConfigError`` where the first must not become active; the second is in force, None where none is."""


class ConfigService:
    """The configuration of one gateway, shared by its processes through the database.

    Args:
        registry: Where versions are.
        blobs: Where their content is.
        own: The section of this process's `pilothouse.yaml`.
        connections: All connections of the project, asked for at each change.
        check: What a configuration must pass before it becomes active.
    """

    def __init__(
        self,
        registry: RegistryService,
        blobs: BlobStore,
        own: GatewaySettings,
        *,
        connections: Callable[[], list[ConnectionSpec]],
        check: Check,
    ) -> None:
        self._registry = registry
        self._blobs = blobs
        self._own = own
        self._connections = connections
        self._check = check

    @classmethod
    def build(cls, services: Services) -> Self:
        """Build the service of a project."""
        files = services.get(ModelService).files

        def check(wanted: GatewaySettings, active: GatewaySettings | None) -> None:
            # A key may be missing where only weights are changed from: what is in use already is taken on trust.
            trusted = _connections_of(active) if active is not None else frozenset[str]()
            where = unplaced if active is not None else place_in(services.root / FILE_NAME)
            check_settings(wanted, files.all(), files.resolve, trusted=trusted, where=where)

        return cls(
            services.get(RegistryService),
            services.get(BlobStore),
            services.settings.section(GatewaySettings),
            connections=files.all,
            check=check,
        )

    def acting(self, actor: Actor) -> Self:
        """Return the same service on behalf of somebody else."""
        return type(self)(
            self._registry.acting(actor), self._blobs, self._own, connections=self._connections, check=self._check
        )

    def reading(self, own: GatewaySettings) -> Self:
        """Return the same service over what `pilothouse.yaml` says now."""
        return type(self)(self._registry, self._blobs, own, connections=self._connections, check=self._check)

    def start(self) -> ActiveConfig:
        """Take in `pilothouse.yaml` and return what is in force.

        A file that says the same as when it was last taken in changes nothing: what was changed while serving, or
        rolled back, stays. A file that says something new becomes active, and ``replaced`` tells what it put out of
        force.

        Raises:
            ConfigError: when the file says what must not be; then what was in force before stays.
        """
        document = document_of(self._own)
        for _ in range(_TRIES):
            aliases = self._registry.aliases(KIND, NAME)
            active, file = aliases.get(ACTIVE), aliases.get(FILE)
            if active is not None and file is not None and self._content(file) == document:
                return msgspec.structs.replace(self.active(), source="same")
            self._check(self._own, None)
            replaced = self._replaced(file, active, document) if active and file else ()
            version = self._register(document, origin="file", note="pilothouse.yaml")
            try:
                # In this order: a crash between the two leaves a file that is new at the next start, too.
                self._registry.set_alias(KIND, NAME, ACTIVE, version.number, expected=active)
            except Conflict:
                continue
            self._registry.set_alias(KIND, NAME, FILE, version.number)
            return msgspec.structs.replace(self.active(), source="new", replaced=replaced)
        raise _contended()

    def active_number(self) -> int | None:
        """Return the number of the version in force; one small query."""
        return self._registry.aliases(KIND, NAME).get(ACTIVE)

    def active(self) -> ActiveConfig:
        """Return what is in force.

        Raises:
            NotFound: when no gateway of this project was ever started.
            ConfigError: when this release cannot read it.
        """
        number = self._active_number()
        version = self._registry.resolve(f"{KIND}/{NAME}:{number}")
        return ActiveConfig(version=_version(version, number), settings=self.settings(number))

    def versions(self) -> tuple[ConfigVersion, ...]:
        """Return every state there was, the oldest first; none before the first start."""
        number = self.active_number()
        if number is None:
            return ()
        return tuple(_version(item, number) for item in self._registry.versions(KIND, NAME))

    def history(self) -> tuple[ConfigMove, ...]:
        """Return what was in force from when on, the oldest first."""
        return tuple(
            ConfigMove(number=change.number, previous=change.previous, changed_at=change.changed_at, actor=change.actor)
            for change in self._registry.alias_history(KIND, NAME)
            if change.alias == ACTIVE and change.number is not None
        )

    def document(self, number: int | None = None) -> Document:
        """Return the content of a version, the one in force by default; defaults are left out.

        Raises:
            NotFound: when there is no such version.
        """
        return self._content(self._active_number() if number is None else number)

    def settings(self, number: int) -> GatewaySettings:
        """Return a version as settings, with the host, port and the like of this process's `pilothouse.yaml`.

        Raises:
            NotFound: when there is no such version.
            ConfigError: when this release cannot read it.
        """
        return settings_of(self._content(number), self._own, f"version {number} of the gateway's configuration")

    def diff(self, before: int, after: int) -> tuple[ConfigChange, ...]:
        """Return where two versions differ.

        Raises:
            NotFound: when there is no such version.
        """
        return tuple(differences(self._content(before), self._content(after)))

    def apply(self, document: Mapping[str, Any], *, note: str = "", expected: int | None = None) -> ActiveConfig:
        """Put a whole configuration in force.

        Args:
            document: ``routes``, ``limits``, ``guards``, ``capture``; what is left out is as by default.
            note: Why.
            expected: The version it was made from; None for whichever is in force.

        Raises:
            ConfigError: when it must not be.
            Conflict: when another version is in force than expected.
        """
        return self._change(lambda _: dict(document), note, expected)

    def edit(
        self, path: str | Path, value: object | UnsetType, *, note: str = "", expected: int | None = None
    ) -> ActiveConfig:
        """Change one value; ``msgspec.UNSET`` removes it, so that its default holds.

        Args:
            path: Keys and places, a text with dots, or a JSON pointer; below ``routes``, ``limits``, ``guards``,
                ``capture``.
            value: JSON.
            note: Why.
            expected: The version it was made from; None for whichever is in force.

        Raises:
            NotFound: when there is no such place.
            ConfigError: when the result must not be.
            Conflict: when another version is in force than expected.
        """
        return self._change(lambda settings: edited(full_document(settings), path, value), note, expected)

    def set_weights(
        self, route: str, weights: Mapping[str, float], *, note: str = "", expected: int | None = None
    ) -> ActiveConfig:
        """Change weights of a route's deployments, by their ids; those that are not named keep theirs.

        Raises:
            NotFound: for an unknown route or deployment.
            ConfigError: when the result must not be, as when no weight is left above 0.
            Conflict: when another version is in force than expected.
        """

        def change(settings: GatewaySettings) -> Document:
            name = route_name(settings, route)
            specs = {spec.name: spec for spec in self._connections()}
            places = {
                deployment_id(name, item, specs[item.connection]): place
                for place, item in enumerate(settings.routes[name].deployments)
                if item.connection in specs
            }
            document = full_document(settings)
            for deployment, weight in weights.items():
                if deployment not in places:
                    raise NotFound(
                        f"the route '{name}' has no deployment '{deployment}'",
                        expected=nearest_hint(deployment, places),
                    )
                document["routes"][name]["deployments"][places[deployment]]["weight"] = weight
            return document

        return self._change(change, note or f"weights of {route}", expected)

    def set_arms(
        self, route: str, arms: Mapping[str, float], *, note: str = "", expected: int | None = None
    ) -> ActiveConfig:
        """Change weights of the arms of a route's experiment; those that are not named keep theirs.

        Raises:
            NotFound: for an unknown route or arm, or a route without an experiment.
            ConfigError: when the result must not be.
            Conflict: when another version is in force than expected.
        """

        def change(settings: GatewaySettings) -> Document:
            name = route_name(settings, route)
            experiment = settings.routes[name].experiment
            if experiment is None:
                raise NotFound(f"the route '{name}' has no experiment")
            for arm in arms:
                if arm not in experiment.arms:
                    raise NotFound(
                        f"the experiment '{experiment.name}' has no arm '{arm}'",
                        expected=nearest_hint(arm, experiment.arms),
                    )
            document = full_document(settings)
            document["routes"][name]["experiment"]["arms"] |= dict(arms)
            return document

        return self._change(change, note or f"arms of {route}", expected)

    def rollback(self, number: int | None = None, *, expected: int | None = None) -> ActiveConfig:
        """Put an earlier version in force again; by default the one before the last change, so that twice is back.

        Raises:
            NotFound: when there is no such version.
            Conflict: when nothing was in force before, or another version is than expected.
            ConfigError: when it must not be any more, as when a connection is gone.
        """
        now = self._active_number()
        if expected is not None and now != expected:
            raise _moved(expected, now)
        if number is None:
            number = self.history()[-1].previous
        if number is None:
            raise Conflict("no other configuration was in force before", fix="name the version to go back to")
        self._check(self.settings(number), self._readable(now))
        self._registry.set_alias(KIND, NAME, ACTIVE, number, expected=now)
        return self.active()

    def _change(self, change: Change, note: str, expected: int | None) -> ActiveConfig:
        for _ in range(_TRIES):
            number = self._active_number()
            if expected is not None and number != expected:
                raise _moved(expected, number)
            before = self.settings(number)
            wanted = settings_of(change(before), self._own, "the changed configuration")
            self._check(wanted, before)
            version = self._register(document_of(wanted), origin="edit", note=note)
            try:
                self._registry.set_alias(KIND, NAME, ACTIVE, version.number, expected=number)
            except Conflict:
                if expected is not None:
                    raise
                continue  # somebody else's change came first: this one is made again, on top of it
            return ActiveConfig(version=_version(version, version.number), settings=wanted)
        raise _contended()

    def _replaced(self, file: int, active: int, document: Document) -> tuple[ConfigChange, ...]:
        """Return the changes made since the last file was taken in that ``document`` does not contain."""
        edits = differences(self._content(file), self._content(active))
        lost = {change.path for change in differences(self._content(active), document)}
        return tuple(change for change in edits if _touches(change.path, lost))

    def _register(self, document: Document, *, origin: Origin, note: str) -> Version:
        content = self._blobs.put(canonical_json(document))
        # The blob lies on this machine's disk; other machines of one gateway have the database in common.
        metadata = {"origin": origin, "note": note[:_LONGEST_NOTE], "document": document}
        version, _ = self._registry.register(KIND, NAME, content, metadata=metadata)
        return version

    def _content(self, number: int) -> Document:
        version = self._registry.resolve(f"{KIND}/{NAME}:{number}")
        document: Document = version.metadata.get("document", {})
        if digest(document) != version.digest:
            raise StorageError(
                f"the content of {version.ref} was changed", fix="go back to another version, or restore the database"
            )
        return document

    def _readable(self, number: int) -> GatewaySettings | None:
        try:
            return self.settings(number)
        except ConfigError:
            return None

    def _active_number(self) -> int:
        number = self.active_number()
        if number is None:
            raise NotFound("no configuration is in force", fix="pilothouse gateway serve")
        return number


def _version(version: Version, active: int) -> ConfigVersion:
    return ConfigVersion(
        number=version.number,
        digest=version.digest,
        created_at=version.created_at,
        actor=version.actor,
        origin=version.metadata.get("origin", "edit"),
        note=version.metadata.get("note", ""),
        active=version.number == active,
    )


def route_name(settings: GatewaySettings, name: str) -> str:
    """Return the name of the route that has a name, or an alias.

    Raises:
        NotFound: when there is none.
    """
    if name in settings.routes:
        return name
    for known, route in settings.routes.items():
        if name in route.aliases:
            return known
    raise NotFound(f"there is no route '{name}'", expected=nearest_hint(name, settings.routes))


def _connections_of(settings: GatewaySettings) -> frozenset[str]:
    return frozenset(item.connection for route in settings.routes.values() for item in route.deployments)


def _touches(path: str, others: set[str]) -> bool:
    """Tell whether a change stands at, within or around one of others."""
    return any(path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.") for other in others)


def _contended() -> Conflict:
    return Conflict("the configuration is being changed by others all the time", fix="try again")


def _moved(expected: int, number: int) -> Conflict:
    return Conflict(
        f"version {number} of the configuration is in force, not {expected}",
        expected="a change made from what is in force",
        fix=f"look at version {number} and do it again",
    )
