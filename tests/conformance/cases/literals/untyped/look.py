from promptflow.core import tool


@tool
def look(number, mapping, text, with_number=1, with_text="a"):
    return [number, mapping, text, with_number, with_text]
