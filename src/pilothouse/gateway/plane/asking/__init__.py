"""Asking a deployment: the request in its form, its answer in the client's."""
