"""Roomful for Python backends: mint tokens, call the HTTP API, verify webhooks, answer hooks."""

from . import schemas
from .api import AsyncRoomful, Roomful
from .calls import UNSET
from .errors import RoomfulError, WebhookError
from .hooks import Hook, HookAnswer, HookMessage, allow, refuse, replace, verify_hook
from .tokens import mint_token
from .webhooks import Webhook, verify_webhook

__all__ = [
    "UNSET",
    "AsyncRoomful",
    "Hook",
    "HookAnswer",
    "HookMessage",
    "Roomful",
    "RoomfulError",
    "Webhook",
    "WebhookError",
    "allow",
    "mint_token",
    "refuse",
    "replace",
    "schemas",
    "verify_hook",
    "verify_webhook",
]
