"""An evaluator of this project's own: what a wrong answer costs the reader of the messages."""


class Harm:
    """Weighs the two kinds of mistake: a friend's message that is lost, an advert that gets through.

    A class is made once with the options of the experiment file and called for every row; it returns the score of the
    row. A plain function would do as well, where there are no options.
    """

    def __init__(self, blocked: float = 5.0, missed: float = 1.0) -> None:
        self.blocked = blocked
        self.missed = missed

    def __call__(self, prediction: str, truth: str) -> float:
        if prediction == truth:
            return 0.0
        return self.missed if truth == "spam" else self.blocked
