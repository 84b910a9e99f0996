MADE = []


class Once:
    def __init__(self):
        MADE.append(self)

    def __call__(self, n: int):
        return {"first": MADE[0] is self and len(MADE) == 1}
