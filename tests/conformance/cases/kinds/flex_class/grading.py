class Grade:
    def __init__(self, points: int):
        self.points = points

    def __call__(self, answer: str, truth: str) -> dict:
        return {"score": self.points if answer == truth else 0}

    def __aggregate__(self, line_results: list) -> dict:
        return {"mean": sum(line.score for line in line_results) / len(line_results)}
