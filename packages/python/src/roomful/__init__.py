"""Roomful for Python backends: mint tokens, call the HTTP API, verify webhooks."""

from . import schemas
from .api import AsyncRoomful, Roomful
from .calls import UNSET
from .errors import RoomfulError, WebhookError
from .tokens import mint_token
from .webhooks import Webhook, verify_webhook

__all__ = [
    "UNSET",
    "AsyncRoomful",
    "Roomful",
    "RoomfulError",
    "Webhook",
    "WebhookError",
    "mint_token",
    "schemas",
    "verify_webhook",
]
