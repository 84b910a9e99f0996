class Judge:
    def __init__(self):
        self.seen = 0

    async def __call__(self, n: int):
        return {"score": n}

    async def __aggregate__(self, line_results: list):
        return {"total": sum(line.score for line in line_results)}
