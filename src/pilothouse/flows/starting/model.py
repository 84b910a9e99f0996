"""Which connection a new flow asks: one of the project that can answer now, else the scripted one."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from pilothouse.core.errors import PilothouseError, UserError
from pilothouse.models.service import ModelService

SCRIPTED: Final = "scripted"
_OWN_MODEL: Final = ("local", "scripted")


class Choice(Struct, frozen=True, kw_only=True):
    """A connection for a new flow.

    Attributes:
        connection: Its name.
        model: The line of the file that names the model; empty where the connection has its own.
        note: What to tell the user about it; empty for nothing.
    """

    connection: str
    model: str = ""
    note: str = ""


def choose_model(models: ModelService, connection: str | None, model: str | None) -> Choice:
    """Return what a new flow asks.

    Args:
        models: The project's connections.
        connection: The one that was asked for; None for any that can answer now.
        model: The model or deployment that was asked for.

    Raises:
        ConnectionFault: when there is no such connection.
        UserError: when it needs a model and none is named.
    """
    if connection is not None:
        return _named(models, connection, model)
    waiting: list[str] = []
    for spec in models.connections():
        if not spec.where or not spec.kind.serves_models:
            continue
        if spec.type not in _OWN_MODEL and not model:
            waiting.append(f"'{spec.name}' is not used: name its model with --model")
            continue
        try:
            models.check(spec.name, model or "")
        except PilothouseError as error:
            waiting.append(f"'{spec.name}' is not used: {error.message}")
            continue
        return _named(models, spec.name, model)
    said = "the flow asks a scripted model, which repeats what it is told and needs no key"
    return Choice(connection=SCRIPTED, note="; ".join([*waiting, said]))


def _named(models: ModelService, name: str, model: str | None) -> Choice:
    spec = models.files.spec(name)
    if not spec.kind.serves_models:
        raise UserError(f"there are no models behind the connection '{name}' ({spec.type})", where=spec.where)
    if model:
        key = "deployment_name" if spec.type == "azure_open_ai" else "model"
        return Choice(connection=name, model=f"{key}: {model}")
    if spec.type in _OWN_MODEL:
        return Choice(connection=name)
    raise UserError(f"which model of the connection '{name}' shall be asked?", fix="add --model NAME")
