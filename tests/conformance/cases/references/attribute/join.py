from promptflow.core import tool


@tool
def join(person, age):
    return f"{person.name} {age}"
