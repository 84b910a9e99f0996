"""Limits shared by several processes through Redis; why they hold is told in `docs/design/0014-limits.md`."""
