class Judge:
    def __call__(self, n: int):
        return {"score": n}

    def __aggregate__(self, lines: list, more: int):
        return {}
