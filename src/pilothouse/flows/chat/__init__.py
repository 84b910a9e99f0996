"""Conversations with a flow: what makes it a chat flow, and the history that is kept for it."""
