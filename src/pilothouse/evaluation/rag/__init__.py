"""Quality of answers that rest on documents: one judge call a row, every definition under its own name."""
