"""A gateway of a project, put together as it is served."""

from ..assembled import project, upstream

__all__ = ["project", "upstream"]
