import os

from marks import MARKS


def run(text: str) -> str:
    return text + MARKS + " " + os.environ["HOW_MANY"]
