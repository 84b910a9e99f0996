"""The tables of the registry: versions, aliases with their history, lineage edges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from pilothouse.core.storage.columns import Json, UtcDateTime


def upgrade(op: Operations) -> None:
    op.create_table(
        "registry_versions",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("metadata", Json, nullable=False),
        sa.UniqueConstraint("kind", "name", "digest"),
    )
    op.create_table(
        "registry_aliases",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("alias", sa.String, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(
            ["kind", "name", "number"], ["registry_versions.kind", "registry_versions.name", "registry_versions.number"]
        ),
    )
    op.create_table(
        "registry_alias_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("alias", sa.String, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("previous", sa.Integer),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
    )
    op.create_index("ix_registry_alias_changes_kind_name", "registry_alias_changes", ["kind", "name"])
    op.create_table(
        "registry_edges",
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("target", sa.String, primary_key=True),
        sa.Column("relation", sa.String, primary_key=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_registry_edges_target", "registry_edges", ["target"])


def downgrade(op: Operations) -> None:
    op.drop_table("registry_edges")
    op.drop_table("registry_alias_changes")
    op.drop_table("registry_aliases")
    op.drop_table("registry_versions")
