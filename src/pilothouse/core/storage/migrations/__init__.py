"""The steps of the schema, one line of numbered files; `core/storage/schema.py` takes them in order.

How to add a step:

1. Change the room's `tables.py`.
2. Add `NNNN_what_it_does.py` here, with the next free number. The number is the revision: the file names no other
   step, and there are no branches. It holds two functions::

       from alembic.operations import Operations
       import sqlalchemy as sa
       from pilothouse.core.storage.columns import Json, UtcDateTime

       def upgrade(op: Operations) -> None:
           op.create_table("things", sa.Column("id", sa.String, primary_key=True), ...)

       def downgrade(op: Operations) -> None:
           op.drop_table("things")

   Constraints without a name get theirs from the MetaData's convention; `op.create_index` wants the name spelled out
   (`ix_<table>_<columns>`). A column is altered inside `op.batch_alter_table`, which SQLite needs.
3. Run `tests/core/storage/test_migrations.py`: it compares the migrated schema with the tables of every room, on
   SQLite and PostgreSQL, up, down and up again.
4. Run ``python -m tests.core.storage.new_database``: it writes `new_database.sql`, what a brand-new SQLite database
   gets in place of the steps, anew.

A step that was released is never changed; the next step mends it. Each upgrade runs in one transaction.
"""
