"""A flow packed so that it runs elsewhere: a folder with one command, or the context of a container."""
