from promptflow.connections import QdrantConnection, WeaviateConnection
from promptflow.core import tool


@tool
def vectors(one: QdrantConnection, two: WeaviateConnection) -> list:
    return [type(one).__name__, one.api_base, type(two).__name__, two.api_base]
