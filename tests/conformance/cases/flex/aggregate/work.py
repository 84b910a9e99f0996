class Judge:
    def __init__(self):
        self.seen = 0

    def __call__(self, n: int):
        if n < 0:
            raise ValueError("negative")
        return {"score": n, "inner": {"twice": 2 * n}}

    def __aggregate__(self, line_results: list):
        return {
            "total": sum(line.score for line in line_results),
            "inner": sum(line["inner"]["twice"] for line in line_results),
            "lines": len(line_results),
        }
