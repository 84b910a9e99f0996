import os

from promptflow.core import tool


@tool
def look() -> list:
    return [os.environ["MODEL_KEY"].startswith("sk-"), os.environ["MODEL_URL"].endswith("/v1")]
