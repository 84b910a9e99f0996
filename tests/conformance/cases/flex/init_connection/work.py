from promptflow.connections import OpenAIConnection


class Asking:
    def __init__(self, connection: OpenAIConnection):
        self.connection = connection

    def __call__(self, text: str):
        kind = type(self.connection).__name__
        return {"kind": kind, "has_key": bool(self.connection.api_key), "text": text}
