from promptflow.core import OpenAIModelConfiguration


class Asking:
    def __init__(self, config: OpenAIModelConfiguration):
        self.config = config

    def __call__(self, text: str):
        return {"model": self.config.model, "has_key": bool(self.config.api_key)}
