"""`PFClient.connections`: the connections of the project, as prompt flow's objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pilothouse.core.errors import ConnectionFault, NotFound, UserError
from pilothouse.flows.client.errors import as_promptflow
from pilothouse.flows.environment.contexts import given_connection
from pilothouse.flows.function import open_project
from pilothouse.flows.promptflow.connections import (
    CustomConnection,
    FixedConnection,
    PromptflowConnection,
)
from pilothouse.flows.promptflow.faults import ConnectionNotFoundError
from pilothouse.models.connections import override_variable
from pilothouse.models.service import ModelService
from pilothouse.models.types import Connection


class ConnectionOperations:
    """Verbs on the connections of the project that the working directory lies in."""

    def get(self, name: str, **_: Any) -> PromptflowConnection:
        """Return a connection with its values; printed, its secrets are ``***``.

        Raises:
            ConnectionNotFoundError: when there is none of the name.
            UserErrorException: when it is incomplete.
        """
        with as_promptflow(missing=ConnectionNotFoundError), open_project(Path.cwd()) as services:
            models = services.get(ModelService)
            _known(models, name)
            return as_object(models.connection(name))

    def list(self, max_results: int | None = None, **_: Any) -> list[PromptflowConnection]:
        """Return the project's connections that can be used; one that lacks a secret is left out."""
        with as_promptflow(), open_project(Path.cwd()) as services:
            models = services.get(ModelService)
            found: list[PromptflowConnection] = []
            for spec in models.connections():
                if not spec.where:
                    continue  # those that are always there are not prompt flow's
                try:
                    found.append(as_object(models.connection(spec.name)))
                except ConnectionFault:
                    continue
            return found[:max_results]

    def create_or_update(self, connection: PromptflowConnection, **_: Any) -> PromptflowConnection:
        """Write a new connection file; secrets stay out of it.

        The file refers to an environment variable for each secret. A variable that is not set, or holds something
        else than the object, is named: nothing here writes a secret down.

        Raises:
            UserErrorException: when the name is taken by another connection, or a variable must be set first.
        """
        with as_promptflow(), open_project(Path.cwd()) as services:
            models = services.get(ModelService)
            given = given_connection(connection)
            if not connection.name:
                raise UserError(
                    "a connection that is kept needs a name", expected=f"{type(connection).__name__}(name=...)"
                )
            references = {key: override_variable(given.name, key) for key in given.secrets}
            for key, variable in references.items():
                if models.environment.get(variable) != given.secrets[key].reveal():
                    raise UserError(
                        f"the secret '{key}' of the connection '{given.name}' is kept in no file",
                        expected=f"the environment variable {variable} with the same value",
                        fix=f"write {variable}=... into .env, then create the connection; or add it with "
                        f"pilothouse connection add {given.name} --type {given.type}",
                    )
            if any(spec.name == given.name for spec in models.connections()):
                if models.connection(given.name).identity() == given.identity():
                    return connection
                raise UserError(f"the connection '{given.name}' exists", fix="edit its file")
            prefix = ("configs.", "secrets.") if given.type == "custom" else ("", "")
            texts = {f"{prefix[0]}{key}": value for key, value in given.configs.items()}
            texts |= {f"{prefix[1]}{key}": f"${{env:{variable}}}" for key, variable in references.items()}
            models.files.add(given.name, given.type, texts)
            return connection

    def delete(self, name: str) -> None:
        """Remove the file of a connection.

        Raises:
            ConnectionNotFoundError: when there is none of the name.
        """
        with as_promptflow(missing=ConnectionNotFoundError), open_project(Path.cwd()) as services:
            spec = _known(services.get(ModelService), name)
            if not spec.where:
                raise UserError(f"the connection '{name}' stands in no file: it is always there")
            Path(spec.where).unlink()


def as_object(connection: Connection) -> PromptflowConnection:
    """Return a connection of the house as prompt flow's object."""
    secrets = {key: secret.reveal() for key, secret in connection.secrets.items()}
    kind = next((item for item in FixedConnection.__subclasses__() if connection.type == item.KIND), None)
    if kind is None:
        return CustomConnection(secrets=secrets, configs=dict(connection.configs), name=connection.name)
    return kind(name=connection.name, **connection.configs, **secrets)


def _known(models: ModelService, name: str) -> Any:
    for spec in models.connections():
        if spec.name == name:
            return spec
    try:
        return models.files.spec(name)
    except ConnectionFault as error:
        raise NotFound(error.message, where=error.where, expected=error.expected, fix=error.fix) from error
