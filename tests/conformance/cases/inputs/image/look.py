from promptflow.contracts.multimedia import Image
from promptflow.core import tool


@tool
def look(picture: Image) -> dict:
    return {"bytes": len(bytes(picture)), "mime": picture._mime_type, "is_image": isinstance(picture, Image)}
