class Judge:
    def __init__(self):
        self.seen = 0

    def __call__(self, n: int):
        return {"score": n}

    def __aggregate__(self, lines: list, more: int):
        return {}
