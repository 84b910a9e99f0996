import promptflow.core as pf


def plus(text: str) -> str:
    return text + "3"


@pf.tool
def c(text: str) -> str:
    return plus(text)
