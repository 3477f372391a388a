"""An endpoint that keeps the webhooks it gets."""

import base64
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from roomful import Webhook, verify_webhook

PATIENCE = 20
"""Seconds before a wait fails. Only a failing test waits that long."""


class Receiver:
    """An HTTP server on a free port, in a thread."""

    def __init__(self) -> None:
        self.secret = "whsec_" + base64.b64encode(b"7" * 32).decode()
        received: queue.Queue[Webhook] = queue.Queue()
        secrets = ["whsec_AAAA", self.secret]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received.put(verify_webhook(secrets, dict(self.headers.items()), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def next(self, room: str) -> Webhook:
        """The next webhook about a room."""
        while True:
            webhook = self._received.get(timeout=PATIENCE)
            if webhook.data["room"] == room:
                return webhook

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
