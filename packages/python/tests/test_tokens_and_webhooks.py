"""Tokens that the real server accepts, and webhooks that it sends."""

import time

import pytest
from chat_user import ChatUser
from conftest import SECRET, Server

from roomful import Roomful, WebhookError, mint_token, verify_webhook


def test_the_server_accepts_a_token(server: Server) -> None:
    token = mint_token(SECRET, "carol", name="Carol", rooms=["team-*"], ttl=60)
    with ChatUser(server.url, token) as carol:
        ack = carol.ask("user:get", {"users": ["carol"]})
    assert ack["data"]["users"][0]["name"] == "Carol"


def test_a_token_needs_a_long_secret_a_user_and_a_positive_lifetime() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mint_token("short", "alice")
    for user in ["", 5]:
        with pytest.raises(ValueError, match="user's id"):
            mint_token(SECRET, user)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="positive"):
        mint_token(SECRET, "alice", ttl=0)


def test_a_webhook_of_the_server_is_verified(server: Server, api: Roomful) -> None:
    api.put_room("hooked")
    api.post_message("hooked", user_id="bot", text="ünïcode")
    webhook = server.receiver.next("hooked")
    assert webhook.type == "message.created"
    assert webhook.data["userId"] == "bot"


@pytest.mark.parametrize("offset", [0, -302, 302])
def test_a_webhook_with_another_signature_or_time_is_refused(server: Server, offset: int) -> None:
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(time.time()) + offset),
        "Webhook-Signature": "v1,AAAA v1a,BBBB",
    }
    with pytest.raises(WebhookError, match="off" if offset else "signature"):
        verify_webhook(server.receiver.secret, headers, b"{}")


def test_a_webhook_without_headers_is_refused() -> None:
    with pytest.raises(WebhookError, match="webhook-id"):
        verify_webhook("whsec_AAAA", {}, b"{}")


def test_an_address_without_a_scheme_or_an_empty_key_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="http://"):
        Roomful("chat.example.com", "key")
    with pytest.raises(ValueError, match="ROOMFUL_API_KEY"):
        Roomful("http://127.0.0.1:1", "")
