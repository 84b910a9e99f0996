"""What every room stands on: errors, ids, clock, settings, plug-ins, storage."""
