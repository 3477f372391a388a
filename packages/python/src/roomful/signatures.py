"""The signature of webhooks and hooks, after Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import WebhookError

TOLERANCE = 300
"""Seconds by which a request's timestamp may differ from this machine's clock."""


def verified(
    secret: str | Sequence[str], headers: Mapping[str, str], body: bytes | str
) -> tuple[str, dict[str, Any]]:
    """Verifies the signature of a raw body, and returns the request's id and the parsed body.

    Raises `WebhookError` if no signature matches, the timestamp is more than five minutes off, or the body is
    not a JSON object.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    request_id = _header(lower, "webhook-id")
    timestamp = _header(lower, "webhook-timestamp")
    is_number = timestamp.isascii() and timestamp.isdigit()
    if not is_number or abs(time.time() - int(timestamp)) > TOLERANCE:
        raise WebhookError("the timestamp is more than five minutes off")
    raw = body.encode() if isinstance(body, str) else bytes(body)
    content = f"{request_id}.{timestamp}.".encode() + raw
    secrets = [secret] if isinstance(secret, str) else secret
    expected = [_sign(one, content) for one in secrets]
    signatures = _header(lower, "webhook-signature").split(" ")
    given = [one.removeprefix("v1,") for one in signatures if one.startswith("v1,")]
    if not any(hmac.compare_digest(one.encode(), own) for one in given for own in expected):
        raise WebhookError("no signature matches")
    return request_id, _object(raw)


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


def _object(raw: bytes) -> dict[str, Any]:
    try:
        content = json.loads(raw)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise WebhookError("the body is not a JSON object")
    return content
