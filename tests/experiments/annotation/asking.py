"""A browser without a screen: keeps cookies, follows nothing, speaks ASGI to the pages of a queue."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlencode

from pilothouse.experiments.annotation.web.app import ReviewApp


class Answer:
    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.cookies = [value.decode() for name, value in headers if name == b"set-cookie"]
        self.text = body.decode()

    @property
    def form_key(self) -> str:
        return re.search(r'name="form_key" value="([0-9a-f]+)"', self.text)[1]  # type: ignore[index]

    @property
    def place(self) -> str:
        return re.search(r'name="place" value="(\d+)"', self.text)[1]  # type: ignore[index]


class Browser:
    def __init__(self, app: ReviewApp, host: str = "127.0.0.1:8090") -> None:
        self._app = app
        self.headers = {"host": host}
        self.jar: dict[str, str] = {}

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        return self._ask("POST", path, urlencode(fields).encode(), headers)

    def enter(self, name: str) -> Answer:
        return self.post("/enter", {"form_key": self.get("/").form_key, "name": name})

    def label(self, answer: str, **more: str) -> Answer:
        page = self.get("/")
        return self.post("/label", {"form_key": page.form_key, "place": page.place, "answer": answer, **more})

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        given = {**self.headers, **headers}
        if self.jar:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        where, _, query = path.partition("?")
        scope = {
            "type": "http", "method": method, "path": where, "raw_path": where.encode(), "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "scheme": "http", "http_version": "1.1", "root_path": "", "server": ("127.0.0.1", 8090), "client": ("x", 1),
        }  # fmt: skip
        asyncio.run(self._app(scope, receive, send))
        answer = Answer(sent[0]["status"], sent[0]["headers"], b"".join(m.get("body", b"") for m in sent[1:]))
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar[name] = value.strip('"')
        return answer
