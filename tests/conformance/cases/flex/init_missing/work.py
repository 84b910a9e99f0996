class Scale:
    def __init__(self, factor: int, name: str = "x"):
        self.factor = factor
        self.name = name

    def __call__(self, number: int):
        return {"product": number * self.factor, "name": self.name}
