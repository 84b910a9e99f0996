"""Requests and answers, recorded by policy and read back."""
