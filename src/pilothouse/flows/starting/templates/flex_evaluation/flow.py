"""Grades each row; what `__aggregate__` returns over all completed rows are the metrics of the run."""


class Grade:
    def __call__(self, prediction: str, truth: str) -> dict:
        return {"score": float(prediction.strip().lower() == truth.strip().lower())}

    def __aggregate__(self, line_results: list) -> dict:
        return {"accuracy": sum(line.score for line in line_results) / len(line_results), "rows": len(line_results)}
