from promptflow._internal import ToolProvider, tool


class Repeater(ToolProvider):
    def __init__(self, times: int, between: str):
        super().__init__()
        self.times = times
        self.between = between

    @tool
    def again(self, text: str) -> str:
        return self.between.join([text] * self.times)
