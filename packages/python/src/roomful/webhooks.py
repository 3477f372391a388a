"""Verification of webhooks: reports of events after they happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import WebhookError
from .signatures import verified


@dataclass(frozen=True)
class Webhook:
    """A verified webhook."""

    id: str
    """The same for all attempts: remember the ids that you have handled."""
    type: str
    timestamp: str
    """ISO 8601."""
    data: Any


def verify_webhook(secret: str | Sequence[str], headers: Mapping[str, str], body: bytes | str) -> Webhook:
    """Verifies a webhook and returns its content.

    `body` is the raw request body. `secret` is the endpoint's `whsec_…`, or several during a rotation. The
    names of `headers` may have any case.

    Raises `WebhookError` if no signature matches, the timestamp is more than five minutes off, or the request
    is not a webhook.
    """
    webhook_id, event = verified(secret, headers, body)
    kind, timestamp = event.get("type"), event.get("timestamp")
    if not isinstance(kind, str) or not isinstance(timestamp, str):
        raise WebhookError("this is not a webhook; verify_hook reads requests of hooks")
    return Webhook(webhook_id, kind, timestamp, event.get("data"))
