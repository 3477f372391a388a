"""An app's endpoints for webhooks and hooks."""

import base64
import json
import queue
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from roomful import (
    Hook,
    HookAnswer,
    Webhook,
    WebhookError,
    allow,
    refuse,
    replace,
    verify_hook,
    verify_webhook,
)

PATIENCE = 20
"""Seconds before a wait fails. Only a failing test waits that long."""

Route = Callable[[dict[str, str], bytes], Mapping[str, Any] | None]
"""Gets headers and raw body of a request. Returns the JSON of the answer, or `None` for an empty one."""


class Receiver:
    """An HTTP server on a free port, in a thread. It keeps the webhooks and hooks that it gets."""

    def __init__(self) -> None:
        self.secret = "whsec_" + base64.b64encode(b"7" * 32).decode()
        self.routes: dict[str, Route] = {"/webhook": self._on_webhook, "/hook": self._on_hook}
        """The routes by path. Tests may add their own."""
        self._secrets = ["whsec_AAAA", self.secret]
        self._webhooks: queue.Queue[Webhook] = queue.Queue()
        self._hooks: queue.Queue[Hook] = queue.Queue()
        routes = self.routes

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path not in routes:
                    return self.reply(404, b"")
                try:
                    answer = routes[self.path](dict(self.headers.items()), body)
                except WebhookError as error:
                    return self.reply(401, str(error).encode())
                return self.reply(200, b"" if answer is None else json.dumps(answer).encode())

            def reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _on_webhook(self, headers: dict[str, str], body: bytes) -> None:
        self._webhooks.put(verify_webhook(self._secrets, headers, body))

    def _on_hook(self, headers: dict[str, str], body: bytes) -> Mapping[str, Any]:
        hook = verify_hook(self._secrets, headers, body)
        self._hooks.put(hook)
        return decide(hook)

    def next(self, room: str) -> Webhook:
        """The next webhook about a room."""
        while True:
            webhook = self._webhooks.get(timeout=PATIENCE)
            if webhook.data["room"] == room:
                return webhook

    def next_hook(self, event: str) -> Hook:
        """The next question about an event."""
        while True:
            hook = self._hooks.get(timeout=PATIENCE)
            if hook.event == event:
                return hook

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def decide(hook: Hook) -> HookAnswer:
    """The decisions of the app in these tests."""
    if hook.message:
        text = hook.message["text"]
        if "casino" in text:
            return refuse("no advertising")
        if "secret" in text:
            return replace({"metadata": None})
        return replace({**hook.message, "text": text.replace("darn", "****")})
    if hook.claims:
        return refuse("not you") if hook.claims.get("name") == "Mallory" else allow()
    return refuse() if hook.user == "guest" else allow()
