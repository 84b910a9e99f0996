"""The way to a deployment and back."""
