class Judge:
    def __call__(self, n: int):
        return {"score": n}
