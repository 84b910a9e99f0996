"""The tables of the registry."""

from __future__ import annotations

import sqlalchemy as sa

from pilothouse.core.storage.sql import Json, UtcDateTime, metadata

versions = sa.Table(
    "registry_versions",
    metadata,
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    sa.UniqueConstraint("kind", "name", "digest"),
)

aliases = sa.Table(
    "registry_aliases",
    metadata,
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("alias", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.ForeignKeyConstraint(
        ["kind", "name", "number"], ["registry_versions.kind", "registry_versions.name", "registry_versions.number"]
    ),
)

alias_changes = sa.Table(
    "registry_alias_changes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),  # given in order: two changes may share a microsecond
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("alias", sa.String, nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("previous", sa.Integer),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Index("ix_registry_alias_changes_kind_name", "kind", "name"),
)

edges = sa.Table(
    "registry_edges",
    metadata,
    sa.Column("source", sa.String, primary_key=True),
    sa.Column("target", sa.String, primary_key=True),
    sa.Column("relation", sa.String, primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Index("ix_registry_edges_target", "target"),
)
