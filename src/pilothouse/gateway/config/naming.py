"""What a deployment is called, and its model."""

from __future__ import annotations

from typing import Final

from pilothouse.gateway.settings import DeploymentSettings
from pilothouse.models.connections import ConnectionSpec

SINGLE: Final = ("local", "scripted", "serverless")
"""Types of connections behind which one model stands, so that the connection's name alone is enough."""


def own_model(spec: ConnectionSpec) -> str:
    """Return the model a connection's file names; empty where it names none, or leaves it to the environment."""
    text = spec.texts.get("model", "").strip()
    return "" if "${" in text else text


def deployment_model(route: str, deployment: DeploymentSettings, spec: ConnectionSpec) -> str:
    """Return the model's name at a deployment: as configured, the connection's own, or the route's name."""
    return deployment.model or own_model(spec) or ("" if spec.type in SINGLE else route)


def deployment_id(route: str, deployment: DeploymentSettings, spec: ConnectionSpec) -> str:
    """Return a deployment's id: its name, or ``connection/model``, or the connection where it has one model."""
    model = deployment_model(route, deployment, spec)
    return deployment.name or (f"{deployment.connection}/{model}" if model else deployment.connection)
