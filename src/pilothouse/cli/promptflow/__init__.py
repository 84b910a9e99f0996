"""Prompt flow's command line in our words: its verbs and flags are parsed here and answered by ours."""
