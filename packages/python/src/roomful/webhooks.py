"""Verification of webhooks, after the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import WebhookError

TOLERANCE = 300
"""Seconds by which a webhook's timestamp may differ from this machine's clock."""


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

    `body` is the raw request body. `secret` is the endpoint's `whsec_…`, or several during a rotation. The names of
    `headers` may have any case.

    Raises `WebhookError` if no signature matches, or the timestamp is more than five minutes off.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    webhook_id = _header(lower, "webhook-id")
    timestamp = _header(lower, "webhook-timestamp")
    is_number = timestamp.isascii() and timestamp.isdigit()
    if not is_number or abs(time.time() - int(timestamp)) > TOLERANCE:
        raise WebhookError("the webhook's timestamp is more than five minutes off")
    raw = body.encode() if isinstance(body, str) else bytes(body)
    content = f"{webhook_id}.{timestamp}.".encode() + raw
    secrets = [secret] if isinstance(secret, str) else secret
    expected = [_sign(one, content) for one in secrets]
    signatures = _header(lower, "webhook-signature").split(" ")
    given = [one.removeprefix("v1,") for one in signatures if one.startswith("v1,")]
    if not any(hmac.compare_digest(one.encode(), own) for one in given for own in expected):
        raise WebhookError("no signature of the webhook matches")
    event = json.loads(raw)
    return Webhook(webhook_id, event["type"], event["timestamp"], event["data"])


def _sign(secret: str, content: bytes) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("the secret must be whsec_ and base64") from error
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256))


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise WebhookError(f"the header {name} is missing")
    return value
