"""A Python backend: it creates a room, posts into it, and answers messages that it hears of by webhook."""

import os
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from roomful import Roomful, Webhook, WebhookError, mint_token, verify_webhook

PORT = int(os.environ["PORT"])
api = Roomful(os.environ["ROOMFUL_URL"], os.environ["ROOMFUL_API_KEY"])
api.put_room("support", kind="private")
api.put_member("support", "alice")


def answer(webhook: Webhook) -> None:
    """Answers `/time` as a bot. A webhook can come twice: the client id makes the answer one message."""
    message = webhook.data
    if webhook.type != "message.created" or message["userId"] == "bot" or message["text"] != "/time":
        return
    text = f"It is {datetime.now(UTC).isoformat()}."
    api.post_message(message["room"], user_id="bot", text=text, reply_to=message["seq"], client_id=webhook.id)


class Handler(BaseHTTPRequestHandler):
    """The routes of this backend."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/chat-server":
            return self.reply(200, os.environ["ROOMFUL_URL"].encode())
        if url.path != "/chat-token":
            return self.reply(404)
        # In your app, the user comes from the login session, never from the request.
        user = parse_qs(url.query).get("user", ["guest"])[0]
        return self.reply(200, mint_token(os.environ["ROOMFUL_AUTH_SECRET"], user).encode())

    def do_POST(self) -> None:
        if self.path != "/hooks/chat":
            return self.reply(404)
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            answer(verify_webhook(os.environ["ROOMFUL_HOOK_SECRET"], dict(self.headers.items()), body))
        except WebhookError:
            return self.reply(401)
        # After any other status than 2xx, the server sends the webhook again.
        return self.reply(204)

    def reply(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


with ThreadingHTTPServer(("127.0.0.1", PORT), Handler) as server:
    print(f"ready: http://127.0.0.1:{PORT}/chat-token?user=alice", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
