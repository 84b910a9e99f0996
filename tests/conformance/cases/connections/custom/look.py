from promptflow.connections import CustomConnection
from promptflow.core import tool


@tool
def look(shop: CustomConnection) -> list:
    return [
        shop.configs["region"],
        shop.secrets["token"].startswith("token-"),
        shop.region,
        shop.token == shop.secrets["token"],
        sorted(dict(**shop)),
    ]
