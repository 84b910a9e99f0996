"""Rows in processes of their own: killed when they take too long, replaced when they die."""
