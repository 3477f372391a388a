"""Hooks of the real server. `receiver.decide` has the decisions of the app."""

import base64
import hashlib
import hmac
import time

import pytest
from chat_user import ChatUser, Refused
from conftest import SECRET, Server

from roomful import (
    Roomful,
    RoomfulError,
    WebhookError,
    allow,
    mint_token,
    refuse,
    replace,
    verify_hook,
    verify_webhook,
)


def signed(secret: str, body: str) -> dict[str, str]:
    """The headers of the server for a body."""
    timestamp = str(int(time.time()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"hook_1.{timestamp}.{body}".encode(), hashlib.sha256))
    return {
        "Webhook-Id": "hook_1",
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{signature.decode()}",
    }


def test_a_message_is_allowed_refused_or_replaced(server: Server, api: Roomful) -> None:
    api.put_room("hooked-1", kind="public")
    api.post_message("hooked-1", user_id="bot", text="darn, ünïcode", client_id="c1", metadata={"n": 1})
    hook = server.receiver.next_hook("message.send")
    assert hook.id.startswith("hook_")
    assert (hook.user, hook.room, hook.claims) == ("bot", "hooked-1", None)
    assert hook.message == {"text": "darn, ünïcode", "clientId": "c1", "metadata": {"n": 1}}
    with pytest.raises(RoomfulError, match="no advertising") as refused:
        api.post_message("hooked-1", user_id="bot", text="come to our casino")
    assert refused.value.code == "refused"
    api.post_message("hooked-1", user_id="bot", text="a secret", metadata={"n": 2})
    stored = [(one["text"], one.get("metadata")) for one in api.all_messages("hooked-1")]
    assert stored == [("****, ünïcode", {"n": 1}), ("a secret", None)]


def test_joins_and_edits_are_asked_about(server: Server, api: Roomful) -> None:
    api.put_room("hooked-2", kind="public")
    with ChatUser(server.url, mint_token(SECRET, "guest")) as guest:
        assert guest.ask("chat:join", {"room": "hooked-2"})["error"]["code"] == "refused"
    hook = server.receiver.next_hook("room.join")
    assert (hook.user, hook.room, hook.message) == ("guest", "hooked-2", None)
    with ChatUser(server.url, mint_token(SECRET, "ann")) as ann:
        assert ann.ask("chat:join", {"room": "hooked-2"})["ok"]
        seq = ann.ask("chat:send_message", {"room": "hooked-2", "text": "hi"})["data"]["seq"]
        assert ann.ask("chat:edit_message", {"room": "hooked-2", "seq": seq, "text": "hi, darn"})["ok"]
    (message,) = api.all_messages("hooked-2")
    assert message["text"] == "hi, ****"
    while "seq" not in ((hook := server.receiver.next_hook("message.send")).message or {}):
        pass
    assert (hook.user, hook.message) == ("ann", {"seq": seq, "text": "hi, darn"})


def test_a_connection_is_decided_by_its_claims(server: Server) -> None:
    with pytest.raises(Refused, match="not you"):
        ChatUser(server.url, mint_token(SECRET, "mallory", name="Mallory"))
    while (hook := server.receiver.next_hook("connect")).user != "mallory":
        pass
    assert hook.claims is not None
    assert (hook.claims["sub"], hook.claims["name"], hook.room) == ("mallory", "Mallory", None)


def test_answers_are_those_of_the_server() -> None:
    assert allow() == {"action": "allow"}
    assert refuse() == {"action": "refuse"}
    assert refuse("no") == {"action": "refuse", "reason": "no"}
    assert replace({"text": "", "mentions": []}) == {"action": "replace", "message": {"text": ""}}
    assert replace({"metadata": None}) == {"action": "replace", "message": {"metadata": None}}
    with pytest.raises(ValueError, match="text or metadata"):
        replace({"mentions": []})


def test_each_reader_takes_only_its_own_requests(server: Server) -> None:
    secret = server.receiver.secret
    webhook = '{"type":"message.created","timestamp":"t","data":{}}'
    hook = '{"event":"room.join","user":"ann","room":"lobby"}'
    assert verify_webhook(secret, signed(secret, webhook), webhook).type == "message.created"
    assert verify_hook(["whsec_AAAA", secret], signed(secret, hook), hook.encode()).event == "room.join"
    with pytest.raises(WebhookError, match="verify_hook"):
        verify_webhook(secret, signed(secret, hook), hook)
    with pytest.raises(WebhookError, match="verify_webhook"):
        verify_hook(secret, signed(secret, webhook), webhook)
    for body in ("", "null", "[]", "{}"):
        with pytest.raises(WebhookError):
            verify_hook(secret, signed(secret, body), body)
    with pytest.raises(WebhookError, match="signature"):
        verify_hook(secret, signed(secret, hook), hook + " ")
