from promptflow.core import tool


@tool
def look(nothing="default", empty="default", no=None, zero=None, blank=None):
    return [nothing, empty, no, zero, blank]
