from zipfile import ZipFile

from promptflow.core import tool


@tool
def say() -> list:
    with ZipFile("packed.zip") as packed:
        (name,) = [name for name in packed.namelist() if not name.endswith("/")]
        return [name, packed.read(name).decode().strip()]
