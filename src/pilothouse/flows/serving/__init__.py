"""A flow served over HTTP, as prompt flow's own server does it, with a page to try it on."""
