from promptflow.connections import CustomStrongTypeConnection
from promptflow.contracts.types import Secret
from promptflow.core import tool


class ShopConnection(CustomStrongTypeConnection):
    token: Secret
    region: str = "south"


@tool
def look(shop: ShopConnection) -> list:
    return [type(shop).__name__, shop.region, shop.token.startswith("token-")]
